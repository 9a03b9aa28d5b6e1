// A node's server in a process of its own, for tests that measure its memory or kill it. Started by `fork`
// with the data directory; tells its address, and its memory when it is asked.
import { systemClock } from '../../src/common/clock.js';
import { systemRandom } from '../../src/common/random.js';
import { createNodeStatus } from '../../src/node/node-status.js';
import { batchBytesMaxDefault, chunkBytesMaxDefault } from '../../src/protocol/limits.js';
import { createApp } from '../../src/server/app.js';
import { Listener } from '../../src/server/listener.js';
import { SlabPool } from '../../src/server/slab-pool.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { Store } from '../../src/storage/store.js';
import { RecordingLogger } from './recording-logger.js';
import { testIdentity } from './test-node.js';

export type ServerProcessMessage =
  | { readonly kind: 'ready'; readonly url: string }
  | { readonly kind: 'memory'; readonly heldBytes: number };

const [, , dataDirectory = ''] = process.argv;
const log = new RecordingLogger();
const store = await Store.open(
  {
    dataDirectory,
    nodeName: testIdentity().nodeName,
    chunkBytesMax: chunkBytesMaxDefault,
    flushIntervalMs: 1_000,
  },
  { disk: nodeDisk, clock: systemClock, random: systemRandom, log },
);
const identity = testIdentity();
const stopping = new AbortController().signal;
const app = createApp({
  store,
  clock: systemClock,
  log,
  slabs: new SlabPool(),
  nodeName: identity.nodeName,
  clusterId: identity.clusterId,
  batchBytesMax: batchBytesMaxDefault,
  status: createNodeStatus({ identity, store, clock: systemClock, stopping }),
  stopping,
});
const listener = await Listener.open(app, { host: '127.0.0.1', port: 0 });

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
send({ kind: 'ready', url: listener.url });
