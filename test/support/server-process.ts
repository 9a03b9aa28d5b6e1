// A node's server in a process of its own, for tests that measure its memory or kill it. Started by `fork`
// with the data directory; tells its address, and its memory when it is asked.
import { startTestNode } from './test-node.js';

export type ServerProcessMessage =
  | { readonly kind: 'ready'; readonly url: string }
  | { readonly kind: 'memory'; readonly heldBytes: number };

const [, , dataDirectory = ''] = process.argv;
const node = await startTestNode(dataDirectory);

function send(message: ServerProcessMessage): void {
  process.send?.(message);
}

process.on('message', () => {
  globalThis.gc?.();
  // Buffers are freed some turns after they were collected.
  setImmediate(() => {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    send({ kind: 'memory', heldBytes: heapUsed + external });
  });
});
process.on('disconnect', () => process.exit());
send({ kind: 'ready', url: node.url });
