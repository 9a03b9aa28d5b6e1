// The floor that writes are measured against: a plain Node HTTP server that appends each body to one file
// with `fs.writeSync` and checks nothing.
import { openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const [, , path = ''] = process.argv;
const descriptor = openSync(path, 'a');

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    for (const piece of pieces) writeSync(descriptor, piece);
    response.end('{}\n');
  });
});
server.listen(0, '127.0.0.1', () => {
  console.error(`url=http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));
