// Holds an entry in etcd in a process of its own, which has to end by itself once the coordinator is closed. Started
// by `fork` with the address of etcd; closes when it gets a message, and tells how long that took.
import { systemClock } from '../../src/common/clock.js';
import { silentLogger } from '../../src/common/logger.js';
import { systemRandom } from '../../src/common/random.js';
import { EtcdCoordinator } from '../../src/coordination/etcd-coordinator.js';
import { MemorySnapshot } from './memory-snapshot.js';

const [, , host = ''] = process.argv;
const coordinator = await EtcdCoordinator.open(
  { hosts: [host], cluster: 'test', leaseSeconds: 2, openMsMax: 1_000 },
  {
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    snapshot: new MemorySnapshot(),
  },
);
await coordinator.hold('members/node1', 'running', () => true).catch(() => undefined);
process.once('message', async () => {
  const startedMs = performance.now();
  await coordinator.close();
  process.send?.({ closeMs: performance.now() - startedMs });
  process.disconnect();
});
process.send?.('ready');
