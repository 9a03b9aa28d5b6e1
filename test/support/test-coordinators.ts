import type { Test } from 'tap';
import { systemClock } from '../../src/common/clock.js';
import { systemRandom } from '../../src/common/random.js';
import type { Coordinator } from '../../src/coordination/coordinator.js';
import {
  EtcdCoordinator,
  type EtcdCoordinatorOptions,
} from '../../src/coordination/etcd-coordinator.js';
import { EtcdProcess } from './etcd-process.js';
import { LinkProxy } from './link-proxy.js';
import { MemorySnapshot } from './memory-snapshot.js';
import { RecordingLogger } from './recording-logger.js';

/** How long a change may take to be seen; a failure takes this long, a success does not. */
const seenMsMax = 10_000;

/** A lease as short as etcd gives, so that a test need not wait for 10 s. */
const shortLeaseSeconds = 1;

export interface OpenedCoordinator {
  readonly coordinator: EtcdCoordinator;
  readonly log: RecordingLogger;
  readonly snapshot: MemorySnapshot;
}

/** Opens one that is closed with the test. */
export async function openEtcdCoordinator(
  t: Test,
  url: string | readonly string[],
  options: Partial<EtcdCoordinatorOptions> = {},
  snapshot = new MemorySnapshot(),
): Promise<OpenedCoordinator> {
  const log = new RecordingLogger();
  const coordinator = await EtcdCoordinator.open(
    { hosts: [url].flat(), cluster: 'test', leaseSeconds: shortLeaseSeconds, ...options },
    { clock: systemClock, random: systemRandom, log, snapshot },
  );
  t.teardown(() => coordinator.close());
  return { coordinator, log, snapshot };
}

export async function startEtcd(t: Test): Promise<EtcdProcess> {
  const etcd = await EtcdProcess.start();
  t.teardown(() => etcd.close());
  return etcd;
}

export async function startProxy(t: Test, targetPort: number): Promise<LinkProxy> {
  const proxy = await LinkProxy.start(targetPort);
  t.teardown(() => proxy.close());
  return proxy;
}

/** How often a condition is looked at that may depend on something else too. */
const lookIntervalMs = 50;

/** Resolves when the condition holds; it is looked at after every change of the coordinator, and now and then. */
export async function untilSeen(coordinator: Coordinator, condition: () => boolean): Promise<void> {
  const endMs = performance.now() + seenMsMax;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`Still not seen: ${condition}`);
    await coordinator.changed.wait({ clock: systemClock, timeoutMs: lookIntervalMs });
  }
}

/** The values of a part of the copy, by key. */
export function valuesOf(coordinator: Coordinator, prefix = ''): Record<string, string> {
  return Object.fromEntries(coordinator.list(prefix).map(([key, { value }]) => [key, value]));
}
