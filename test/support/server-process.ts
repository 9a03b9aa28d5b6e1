// A node's server in a process of its own, for tests that measure its memory or kill it. Started by `fork`
// with the data directory; tells its address, and its memory when it is asked.
import { systemClock } from '../../src/common/clock.js';
import { systemRandom } from '../../src/common/random.js';
import {
  batchBytesMaxDefault,
  chunkBytesMaxDefault,
  inFlightBytesMaxDefault,
} from '../../src/protocol/limits.js';
import { ByteBudget } from '../../src/server/byte-budget.js';
import { Listener } from '../../src/server/listener.js';
import { SlabPool } from '../../src/server/slab-pool.js';
import { nodeDisk } from '../../src/storage/node-disk.js';
import { OpenFiles } from '../../src/storage/open-files.js';
import { Store } from '../../src/storage/store.js';
import { RecordingLogger } from './recording-logger.js';

export type ServerProcessMessage =
  | { readonly kind: 'ready'; readonly url: string }
  | { readonly kind: 'memory'; readonly heldBytes: number };

const [, , dataDirectory = ''] = process.argv;
const log = new RecordingLogger();
const store = await Store.open(
  {
    dataDirectory,
    nodeName: 'node1',
    chunkBytesMax: chunkBytesMaxDefault,
    flushIntervalMs: 1_000,
  },
  { disk: nodeDisk, clock: systemClock, random: systemRandom, log },
);
const ports = {
  store,
  clock: systemClock,
  log,
  slabs: new SlabPool(),
  budget: new ByteBudget(inFlightBytesMaxDefault),
  files: new OpenFiles({ disk: nodeDisk, clock: systemClock }),
  nodeName: 'node1',
  clusterId: 'cluster1',
  batchBytesMax: batchBytesMaxDefault,
  stopping: new AbortController().signal,
};
const listener = await Listener.open(ports, { host: '127.0.0.1', port: 0 });

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
