import { systemClock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import type { Cluster } from './cluster.js';
import { describeFault, type FaultKind, isMomentary, type PlannedFault } from './fault-plan.js';

/** Makes faults happen to a cluster as planned. */
export class Tormentor {
  /** How often what was done. */
  readonly counts = new Map<FaultKind, number>();
  readonly #cluster: Cluster;
  readonly #tell: (sentence: string) => void;

  constructor(cluster: Cluster, tell: (sentence: string) => void) {
    this.#cluster = cluster;
    this.#tell = tell;
  }

  /** Resolves when all faults are over, or the signal has aborted and those that had begun were ended. */
  async run(faults: readonly PlannedFault[], signal: AbortSignal): Promise<void> {
    const startMs = systemClock.monotonicMs();
    const waitUntil = (planMs: number): Promise<void> =>
      sleep(systemClock, Math.max(0, startMs + planMs - systemClock.monotonicMs()), signal);
    const ending: Promise<void>[] = [];
    for (const fault of faults) {
      await waitUntil(fault.startMs).catch(() => undefined);
      if (signal.aborted) break;
      this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
      this.#tell(describePlanned(fault));
      ending.push(this.#torment(fault, () => waitUntil(fault.endMs)));
    }
    await Promise.all(ending);
  }

  async #torment(fault: PlannedFault, waitForEnd: () => Promise<void>): Promise<void> {
    await this.#begin(fault);
    // It ends also when the run is told to end early.
    await waitForEnd().catch(() => undefined);
    await this.#end(fault);
  }

  async #begin(fault: PlannedFault): Promise<void> {
    const { kind, cut, delayMs, leftBytes, other } = fault;
    const { network, etcd, nodes, security } = this.#cluster;
    const node = this.#cluster.node(fault.node);
    const others = network.othersOf(fault.node);
    switch (kind) {
      case 'kill':
        return node.kill();
      case 'kill all':
        await Promise.all(nodes.map((one) => one.kill()));
        return;
      case 'restart':
        return node.stop();
      case 'freeze':
        return node.freeze();
      case 'cut':
        return network.cut(fault.node, others, cut);
      case 'cut pair':
        return network.cut(fault.node, [other], cut);
      case 'slow':
        return network.slow(fault.node, delayMs);
      case 'cut etcd':
        return network.cutEtcd(fault.node, cut);
      case 'isolate':
        network.cut(fault.node, others, cut);
        return network.cutEtcd(fault.node, cut);
      case 'kill etcd':
        return etcd.kill();
      case 'freeze etcd':
        return etcd.freeze();
      case 'fill disk':
        return this.#cluster.fillDisk(leftBytes);
      case 'rotate tokens':
        return security?.rotateTokens(nodes);
      case 'renew certificate':
        return security?.renewCertificate(node);
    }
  }

  async #end({ kind, node: name }: PlannedFault): Promise<void> {
    const { network, etcd, nodes } = this.#cluster;
    const node = this.#cluster.node(name);
    switch (kind) {
      case 'kill':
      case 'restart':
        return node.begin();
      case 'kill all':
        await Promise.all(nodes.map((one) => one.begin()));
        return;
      case 'freeze':
        return node.thaw();
      case 'cut':
      case 'cut pair':
      case 'slow':
        return network.heal(name, network.othersOf(name));
      case 'cut etcd':
        return network.etcdLink(name).heal();
      case 'isolate':
        network.heal(name, network.othersOf(name));
        return network.etcdLink(name).heal();
      case 'kill etcd':
        return etcd.begin();
      case 'freeze etcd':
        return etcd.thaw();
      case 'fill disk':
        return this.#cluster.freeDisk();
      case 'rotate tokens':
      case 'renew certificate':
        return undefined;
    }
  }
}

function describePlanned(fault: PlannedFault): string {
  const { kind, node, other, cut, delayMs, leftBytes } = fault;
  const details: Partial<Record<FaultKind, string>> = {
    kill: node,
    restart: node,
    freeze: node,
    cut: `${node}, ${cut}`,
    'cut pair': `${node} and ${other}, ${cut}`,
    slow: `${node}, ${delayMs} ms`,
    'cut etcd': `${node}, ${cut}`,
    isolate: `${node}, ${cut}`,
    'fill disk': `${node}, ${leftBytes} bytes left`,
    'renew certificate': node,
  };
  const detail = details[kind];
  const seconds = ((fault.endMs - fault.startMs) / 1_000).toFixed(1);
  const length = isMomentary(kind) ? '' : `, for ${seconds} s`;
  return `${describeFault(kind)}${detail === undefined ? '' : ` (${detail})`}${length}`;
}
