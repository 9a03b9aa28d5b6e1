// The cheapest server that a load can meet: it counts bytes and answers each `REQUEST_BYTES` of them with a
// prepared answer that has a body of `ANSWER_BODY_BYTES`. It shows what the load and the sockets allow.
import { type AddressInfo, createServer } from 'node:net';

const [, , requestBytesText, answerBodyBytesText] = process.argv;
const requestBytes = Number(requestBytesText);
const answerBodyBytes = Number(answerBodyBytesText);

/** Answers that are owed at once go out in one write of at most about this size. */
const writeBytes = 64 * 1024;

const answer = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${answerBodyBytes}\r\n\r\n`),
  Buffer.alloc(answerBodyBytes, 0x2e),
]);
const writeCount = Math.max(1, Math.floor(writeBytes / answer.length));
const answers = Buffer.concat(new Array<Buffer>(writeCount).fill(answer));

const server = createServer({ noDelay: true }, (socket) => {
  let receivedBytes = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece) => {
    receivedBytes += piece.length;
    let owedCount = Math.floor(receivedBytes / requestBytes);
    receivedBytes -= owedCount * requestBytes;
    while (owedCount > 0) {
      const count = Math.min(owedCount, writeCount);
      socket.write(answers.subarray(0, count * answer.length));
      owedCount -= count;
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  console.error(`url=http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => process.exit(0));
