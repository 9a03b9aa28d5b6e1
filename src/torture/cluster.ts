import { join } from 'node:path';
import { logFileOf, NodeProcess } from '../processes/node-process.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { answerMsMax, Callers } from './callers.js';
import { EtcdProcess } from './etcd-process.js';
import { Network, openerInFirstLine } from './network.js';
import { ClusterSecurity, etcdUser } from './secure/cluster-security.js';
import { findOpener, tellsOpeners } from './secure/find-opener.js';
import { SmallDisk } from './small-disk.js';

export interface ClusterOptions {
  readonly directory: string;
  readonly cliPath: string;
  readonly etcdProgram: string;
  readonly nodeCount: number;
  readonly categories: readonly string[];
  /** Whether everybody has to show who he is. */
  readonly isSecure: boolean;
}

/** Less than a client waits ({@link answerMsMax}). */
const replicationTimeoutMs = 3_000;

const clusterName = 'torture';

/** Small, and sealed soon, so that everything that happens to a chunk happens often. */
const commonWords = [
  ...['--max-chunk-size', '256KiB', '--rotate-interval', '3s', '--scrub-interval', '10s'],
  ...['--replication-timeout', `${replicationTimeoutMs}ms`],
];

/** More than any disk has. */
const hugeReserve = '1000TiB';

/** A cluster of this machine: etcd, the nodes, and the network between all of them. */
export class Cluster {
  readonly etcd: EtcdProcess;
  readonly network: Network;
  readonly nodes: readonly NodeProcess[];
  /** `undefined` where nobody has to show who he is. */
  readonly security: ClusterSecurity | undefined;
  readonly callers: Callers;
  readonly #smallDisk: SmallDisk | undefined;

  private constructor(
    etcd: EtcdProcess,
    network: Network,
    nodes: readonly NodeProcess[],
    security: ClusterSecurity | undefined,
    smallDisk: SmallDisk | undefined,
  ) {
    this.etcd = etcd;
    this.network = network;
    this.nodes = nodes;
    this.security = security;
    const nothing = {};
    this.callers = new Callers((role) => security?.credentials(role) ?? nothing);
    this.#smallDisk = smallDisk;
  }

  /** Starts etcd, and makes the nodes, which do not run yet. Throws `invalid_option` when there is no etcd. */
  static async open(options: ClusterOptions): Promise<Cluster> {
    const { directory, cliPath, nodeCount } = options;
    const names = Array.from({ length: nodeCount }, (_, index) => `node${index + 1}`);
    const security = options.isSecure ? await openSecurity(options, names) : undefined;
    const etcd = await openEtcd(options, security);
    const nodes: NodeProcess[] = [];
    const network = await Network.open({
      nodeNames: names,
      portOf: (name) => nodes.find((node) => node.name === name)?.port,
      etcdPort: etcd.port,
      // What passes by TLS cannot be read.
      openerOf:
        security === undefined
          ? openerInFirstLine
          : async (_, port) => (await findOpener(port, nodes)) ?? '',
      scheme: security === undefined ? 'http' : 'https',
    });
    const diskDirectory = join(directory, `${names.at(-1)}-disk`);
    const smallDisk = await SmallDisk.mount(diskDirectory);
    for (const name of names) {
      const disk = name === names.at(-1) ? smallDisk : undefined;
      const words = [
        ...['--etcd', network.etcdUrl(name), '--advertise', network.advertisedUrl(name)],
        ...['--cluster', clusterName, ...commonWords],
        ...(security?.nodeWords(name) ?? []),
        ...(disk?.words ?? ['--disk-reserve', '0']),
      ];
      nodes.push(
        new NodeProcess({
          name,
          cliPath,
          dataDirectory: join(disk?.directory ?? directory, disk === undefined ? name : 'data'),
          logFile: logFileOf(directory, name),
          words,
        }),
      );
    }
    return new Cluster(etcd, network, nodes, security, smallDisk);
  }

  node(name: string): NodeProcess {
    return this.nodes.find((node) => node.name === name) as NodeProcess;
  }

  /** The node whose disk can be filled. */
  get smallDiskNode(): NodeProcess {
    return this.nodes.at(-1) as NodeProcess;
  }

  /** How that disk is filled. */
  get smallDiskSummary(): string {
    const how =
      this.#smallDisk?.summary ?? `a reserve of ${hugeReserve}, because none can be mounted`;
    return `${this.smallDiskNode.name} on ${how}`;
  }

  async fillDisk(leftBytes: number): Promise<void> {
    if (this.#smallDisk !== undefined) await this.#smallDisk.fill(leftBytes);
    else await this.#restartWith(['--disk-reserve', hugeReserve]);
  }

  async freeDisk(): Promise<void> {
    if (this.#smallDisk !== undefined) await this.#smallDisk.free();
    else await this.#restartWith([]);
  }

  /** Gives back everything that was taken away, and starts what does not run. */
  async heal(): Promise<void> {
    await this.#smallDisk?.free();
    this.etcd.thaw();
    this.etcd.begin();
    for (const node of this.nodes) {
      this.network.heal(node.name, this.network.othersOf(node.name));
      this.network.etcdLink(node.name).heal();
      node.thaw();
      await node.begin();
    }
  }

  /** Ends everything at once; what is on the small disk is gone then. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    this.callers.close();
    this.network.close();
    await this.etcd.kill();
    this.#smallDisk?.unmount();
  }

  async #restartWith(words: readonly string[]): Promise<void> {
    await this.smallDiskNode.kill();
    await this.smallDiskNode.begin(words);
  }
}

async function openSecurity(
  { directory, categories }: ClusterOptions,
  nodeNames: readonly string[],
): Promise<ClusterSecurity> {
  if (!tellsOpeners()) {
    throw new ChukchaError(
      'invalid_option',
      '--secure needs to know which node has opened a connection, and this system does not tell it in /proc: run it on Linux, or without --secure.',
    );
  }
  return await ClusterSecurity.create({
    directory: join(directory, 'security'),
    nodeNames,
    categories,
    // After it, calls with a token from before are given up.
    overlapMs: answerMsMax + 1_000,
  });
}

async function openEtcd(
  { directory, etcdProgram }: ClusterOptions,
  security: ClusterSecurity | undefined,
): Promise<EtcdProcess> {
  const etcd = await EtcdProcess.start({
    program: etcdProgram,
    directory: join(directory, 'etcd'),
    logFile: join(directory, 'etcd.log'),
    tls: security?.etcdTls,
  });
  if (security === undefined) return etcd;
  try {
    await etcd.askWhoCalls(etcdUser, security.etcdPassword, `/chukcha/${clusterName}/`);
    return etcd;
  } catch (error) {
    await etcd.kill();
    throw error;
  }
}
