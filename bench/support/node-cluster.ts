import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemberStatus, NodeStatus } from '../../src/protocol/http-api.js';
import { ChildServer } from './child-server.js';
import { freePort } from './free-port.js';

/** How long etcd and the streams between the nodes may take to come up. */
const upMsMax = 20_000;

/** A node of a cluster with its replicas, each in a process of its own, and an etcd that they agree in. */
export class NodeCluster {
  readonly nodes: readonly ChildServer[];
  readonly #etcd: ChildProcess;
  readonly #etcdUrl: string;

  private constructor(nodes: readonly ChildServer[], etcd: ChildProcess, etcdUrl: string) {
    this.nodes = nodes;
    this.#etcd = etcd;
    this.#etcdUrl = etcdUrl;
  }

  /** Resolves when every node replicates every other one. */
  static async start(directory: string, nodeCount: number): Promise<NodeCluster> {
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    const etcd = startEtcd(join(directory, 'etcd'), clientPort, peerPort);
    const url = `http://127.0.0.1:${clientPort}`;
    await until(async () => (await (await fetch(`${url}/health`)).text()).includes('true'));
    const nodes: ChildServer[] = [];
    for (let index = 0; index < nodeCount; index += 1) {
      nodes.push(await startMember(join(directory, `node${index}`), `node${index}`, url));
    }
    const cluster = new NodeCluster(nodes, etcd, url);
    for (const node of nodes) await until(() => isConnected(node, nodeCount));
    return cluster;
  }

  /**
   * Adds nodes, all at once, and has them get what there is. Resolves with how many bytes a second each got, from
   * when it was first seen to lack something to when it has all.
   */
  async follow(directory: string, names: readonly string[]): Promise<number> {
    const [source] = this.nodes;
    const starting = names.map((name) => startMember(join(directory, name), name, this.#etcdUrl));
    let first: { readonly bytes: number; readonly ms: number } | undefined;
    let last = performance.now();
    try {
      await until(async () => {
        const bytes = await missingBytes(source, names);
        last = performance.now();
        if (Number.isFinite(bytes)) first ??= { bytes, ms: last };
        return bytes === 0;
      });
      const { bytes = 0, ms = 0 } = first ?? {};
      return bytes / names.length / ((last - ms) / 1_000);
    } finally {
      for (const node of starting) await (await node).stop();
    }
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    this.#etcd.kill('SIGKILL');
  }
}

function startEtcd(directory: string, clientPort: number, peerPort: number): ChildProcess {
  const [client, peer] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
  const words = ['--name', 'bench', '--data-dir', directory, '--log-level', 'error'];
  words.push('--listen-client-urls', client, '--advertise-client-urls', client);
  words.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer);
  words.push('--initial-cluster', `bench=${peer}`, '--unsafe-no-fsync');
  return spawn('etcd', words, { stdio: 'ignore' });
}

/** Starts a node of a cluster that may have other nodes already. */
function startMember(data: string, name: string, etcd: string): Promise<ChildServer> {
  const words = ['serve', '--data', data, '--name', name, '--etcd', etcd];
  return ChildServer.start(['bin/run.js', ...words, '--listen', '127.0.0.1:0']);
}

async function isConnected(node: ChildServer, nodeCount: number): Promise<boolean> {
  const members = await membersAt(node);
  return members.length === nodeCount && members.every((m) => m.receiving && m.sending);
}

/** What the nodes of these names lack of the messages of another one; infinite while that is not known. */
async function missingBytes(
  source: ChildServer | undefined,
  names: readonly string[],
): Promise<number> {
  const members = source === undefined ? [] : await membersAt(source);
  const behind = names.map((name) => members.find((member) => member.name === name)?.behindBytes);
  return behind.reduce<number>((sum, bytes) => sum + (bytes ?? Number.POSITIVE_INFINITY), 0);
}

async function membersAt({ url }: ChildServer): Promise<readonly MemberStatus[]> {
  const { clusterStatus } = (await (await fetch(new URL('/status', url))).json()) as NodeStatus;
  return clusterStatus?.members ?? [];
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + upMsMax;
  while (!(await condition().catch(() => false))) {
    if (performance.now() > deadlineMs) throw new Error('The cluster does not come up');
    await sleep(10);
  }
}
