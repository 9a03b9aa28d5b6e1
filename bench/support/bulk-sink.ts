// A server that looks like Elasticsearch to an output and throws away what it is given: it answers each `_bulk` request with
// a prepared result for `DOCUMENT_COUNT` documents.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const documentCount = Number(process.argv[2]);
const items = new Array<object>(documentCount).fill({ create: { status: 201 } });
const bulkAnswer = Buffer.from(JSON.stringify({ errors: false, items }));
const rootAnswer = Buffer.from('{"version":{"number":"8.0.0"},"tagline":"You Know, for Search"}');

const server = createServer((request, response) => {
  request.resume();
  request.once('end', () => response.end(request.method === 'POST' ? bulkAnswer : rootAnswer));
});
server.listen(0, '127.0.0.1', () => {
  console.error(`url=http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));
