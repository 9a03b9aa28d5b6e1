import type { Test } from 'tap';
import { Client } from '../../src/client/client.js';
import type { Credentials } from '../../src/client/credentials.js';
import { systemClock } from '../../src/common/clock.js';
import { MemoryCoordinator } from '../../src/coordination/memory-coordinator.js';
import { MemoryTable } from '../../src/coordination/memory-table.js';
import { resolveNodeOptions } from '../../src/node/node-options.js';
import { type RunningNode, startNode } from '../../src/node/start-node.js';
import { RecordingLogger } from './recording-logger.js';
import { testDirectory } from './test-directory.js';

/** A node of a cluster in this process. */
export interface ClusterMember {
  readonly node: RunningNode;
  readonly client: Client;
  readonly coordinator: MemoryCoordinator;
  readonly log: RecordingLogger;
}

/** Whole nodes in this process, over real sockets and files, that agree in a table in memory. */
export class TestCluster {
  readonly table = new MemoryTable(systemClock);
  readonly members = new Map<string, ClusterMember>();
  readonly #root: string;

  constructor(t: Test) {
    this.#root = testDirectory(t);
    t.teardown(async () => {
      for (const name of [...this.members.keys()]) await this.stop(name);
    });
  }

  directory(name: string): string {
    return `${this.#root}/${name}`;
  }

  /** @param isCutOff whether the table goes away in the moment in which the node has read it */
  async start(
    name: string,
    options: Record<string, unknown> = {},
    isCutOff = false,
    credentials: Credentials = {},
  ): Promise<ClusterMember> {
    const coordinator = new MemoryCoordinator(this.table);
    if (isCutOff) this.table.cutOff(coordinator);
    const log = new RecordingLogger();
    const resolved = resolveNodeOptions({
      name,
      data: this.directory(name),
      listen: '127.0.0.1:0',
      'disk-reserve': '0',
      etcd: 'http://127.0.0.1:1',
      cluster: 'test',
      'replication-timeout': '2s',
      ...options,
    });
    const node = await startNode(resolved, { log, openCoordinator: async () => coordinator });
    const member = {
      node,
      coordinator,
      log,
      client: new Client({ server: node.url, ...credentials }),
    };
    this.members.set(name, member);
    return member;
  }

  async stop(name: string): Promise<void> {
    const member = this.members.get(name);
    this.members.delete(name);
    member?.client.close();
    await member?.node.close();
  }

  /** Keeps the table from all nodes, as an etcd that is away. */
  cutTable(): void {
    for (const { coordinator } of this.members.values()) this.table.cutOff(coordinator);
  }

  healTable(): void {
    for (const { coordinator } of this.members.values()) this.table.heal(coordinator);
  }

  member(name: string): ClusterMember {
    const member = this.members.get(name);
    if (member === undefined) throw new Error(`${name} does not run`);
    return member;
  }
}

export function line(text: string): Uint8Array[] {
  return [Buffer.from(`${text}\n`)];
}
