// A server that looks like Elasticsearch to an output and throws away what it is given: it answers each `_bulk` request with a
// result for `DOCUMENT_COUNT` documents, or for half as many as the body has lines when no count is given. A fake: it shows
// what an output can send, not what an engine can take.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGunzip } from 'node:zlib';
import { countNewlines } from '@chukcha/plugin-api';
import { Traffic, trafficPath } from './traffic.js';

const documentCount = process.argv[2] === undefined ? undefined : Number(process.argv[2]);
const rootAnswer = Buffer.from('{"version":{"number":"8.0.0"},"tagline":"You Know, for Search"}');
const answers = new Map<number, Buffer>();
const traffic = new Traffic();

const server = createServer((request, response) => {
  if (request.url === trafficPath) {
    traffic.answer(response);
    return;
  }
  if (request.method !== 'POST') {
    request.resume();
    response.end(rootAnswer);
    return;
  }
  traffic.begin();
  request.on('data', (piece: Buffer) => traffic.add(piece.length));
  let lineCount = 0;
  const isGzip = request.headers['content-encoding'] === 'gzip';
  const body = isGzip && documentCount === undefined ? request.pipe(createGunzip()) : request;
  body.on('data', (piece: Buffer) => {
    if (documentCount === undefined) lineCount += countNewlines(piece);
  });
  body.once('end', () => {
    traffic.end();
    response.end(answerOf(documentCount ?? lineCount / 2));
  });
});
server.listen(0, '127.0.0.1', () => {
  console.error(`url=http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));

/** Made once for each count. */
function answerOf(count: number): Buffer {
  let answer = answers.get(count);
  if (answer === undefined) {
    const items = new Array<object>(count).fill({ create: { status: 201 } });
    answer = Buffer.from(JSON.stringify({ errors: false, items }));
    answers.set(count, answer);
  }
  return answer;
}
