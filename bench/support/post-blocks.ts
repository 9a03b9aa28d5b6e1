// A program: posts what comes in at its standard input to a node, in blocks of 1 MiB cut behind a newline, one after the other.
import { Agent, request } from 'node:http';

const [url = ''] = process.argv.slice(2);
const blockBytes = 1024 * 1024;
const agent = new Agent({ keepAlive: true });

let held: Buffer[] = [];
let heldBytes = 0;
for await (const piece of process.stdin) {
  held.push(piece as Buffer);
  heldBytes += (piece as Buffer).length;
  if (heldBytes < blockBytes) continue;
  const block = Buffer.concat(held);
  const end = block.lastIndexOf(0x0a) + 1;
  await post(block.subarray(0, end));
  held = [block.subarray(end)];
  heldBytes = block.length - end;
}
if (heldBytes > 0) await post(Buffer.concat(held));
agent.destroy();

function post(body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method: 'POST',
      agent,
      headers: { 'Content-Length': body.length },
    });
    call.on('error', reject);
    call.on('response', (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`The node answered ${response.statusCode}`));
      });
    });
    call.end(body);
  });
}
