import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { logFileOf, NodeProcess } from '../processes/node-process.js';
import { EtcdProcess } from './etcd-process.js';
import { Network } from './network.js';
import { SmallDisk } from './small-disk.js';

export interface ClusterOptions {
  readonly directory: string;
  readonly cliPath: string;
  readonly etcdProgram: string;
  readonly nodeCount: number;
}

/**
 * How long a node may be silent before a writer or a reader goes on at the next one: longer than a write waits for
 * its peers, so that its answer is heard.
 */
const answerMsMax = 4_000;
const replicationTimeoutMs = 3_000;

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
  readonly #smallDisk: SmallDisk | undefined;

  private constructor(
    etcd: EtcdProcess,
    network: Network,
    nodes: readonly NodeProcess[],
    smallDisk: SmallDisk | undefined,
  ) {
    this.etcd = etcd;
    this.network = network;
    this.nodes = nodes;
    this.#smallDisk = smallDisk;
  }

  /** Starts etcd, and makes the nodes, which do not run yet. Throws `invalid_option` when there is no etcd. */
  static async open(options: ClusterOptions): Promise<Cluster> {
    const { directory, cliPath, etcdProgram, nodeCount } = options;
    await mkdir(directory, { recursive: true });
    const etcd = await EtcdProcess.start({
      program: etcdProgram,
      directory: join(directory, 'etcd'),
      logFile: join(directory, 'etcd.log'),
    });
    const names = Array.from({ length: nodeCount }, (_, index) => `node${index + 1}`);
    const nodes: NodeProcess[] = [];
    const network = await Network.open({
      nodeNames: names,
      portOf: (name) => nodes.find((node) => node.name === name)?.port,
      etcdPort: etcd.port,
    });
    const diskDirectory = join(directory, `${names.at(-1)}-disk`);
    const smallDisk = await SmallDisk.mount(diskDirectory);
    for (const name of names) {
      const disk = name === names.at(-1) ? smallDisk : undefined;
      const words = [
        ...['--etcd', network.etcdUrl(name), '--advertise', network.advertisedUrl(name)],
        ...['--cluster', 'torture', ...commonWords, ...(disk?.words ?? ['--disk-reserve', '0'])],
      ];
      nodes.push(
        new NodeProcess({
          name,
          cliPath,
          dataDirectory: join(disk?.directory ?? directory, disk === undefined ? name : 'data'),
          logFile: logFileOf(directory, name),
          words,
          answerMsMax,
        }),
      );
    }
    return new Cluster(etcd, network, nodes, smallDisk);
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
    this.network.close();
    await this.etcd.kill();
    this.#smallDisk?.unmount();
  }

  async #restartWith(words: readonly string[]): Promise<void> {
    await this.smallDiskNode.kill();
    await this.smallDiskNode.begin(words);
  }
}
