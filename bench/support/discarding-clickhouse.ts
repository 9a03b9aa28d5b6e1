// Answers as a ClickHouse with a table of some columns, and throws away what is inserted: the cheapest target for an output.
// A fake: it shows what an output can send, not what an engine can take.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Traffic, trafficPath } from './traffic.js';

const columns = ['id', 'time', 'message'].map((name) => ({
  name,
  type: 'String',
  default_type: '',
}));
const traffic = new Traffic();

const server = createServer((request, response) => {
  if (request.url === trafficPath) {
    traffic.answer(response);
    return;
  }
  let statement = '';
  const isInsert = request.url?.includes('INSERT') ?? false;
  if (isInsert) traffic.begin();
  request.on('data', (piece: Buffer) => {
    if (isInsert) traffic.add(piece.length);
    else statement += piece.toString();
  });
  request.on('end', () => {
    if (isInsert) traffic.end();
    if (statement.startsWith('SELECT version()')) response.end('26.7.2.1\n');
    else if (statement.startsWith('DESCRIBE')) response.end(JSON.stringify({ data: columns }));
    else if (statement === '') response.end();
    else response.end(JSON.stringify({ data: [] }));
  });
});
server.listen(0, '127.0.0.1', () => {
  console.error(`url=http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));
