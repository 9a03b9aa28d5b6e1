import t from 'tap';
import { ResponseScanner } from '../../bench/support/response-scanner.js';

const first =
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 12\r\n\r\n200\r\n\r\nHTTP/';
const second = 'HTTP/1.1 200 OK\r\nX-Content-Length: 7\r\nContent-Length:0\r\nDate: x\r\n\r\n';
const bytes = Buffer.from(first + second + first);

await t.test('answers are counted however the bytes are cut', async (t) => {
  t.equal(new ResponseScanner().scan(bytes, bytes.length), 3);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const scanner = new ResponseScanner();
    const rest = bytes.subarray(cut);
    const counted = scanner.scan(bytes, cut) + scanner.scan(rest, rest.length);
    t.equal(counted, 3, `cut at ${cut}`);
  }
});

await t.test('an answer that is not whole is not counted', async (t) => {
  t.equal(new ResponseScanner().scan(bytes, bytes.length - 1), 2);
});

await t.test('an answer that is not as it must be fails the scan', async (t) => {
  const scan = (text: string, bodyBytes?: number): number =>
    new ResponseScanner(bodyBytes).scan(Buffer.from(text), text.length);
  t.throws(() => scan('HTTP/1.1 503 Unavailable\r\n'), { message: 'an answer was not a 200' });
  t.throws(() => scan('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), {
    message: 'an answer had no Content-Length',
  });
  t.throws(() => scan(second, 1), { message: 'an answer had 0 bytes and not 1' });
});
