import { Link } from './link.js';
import { LinkProxy } from './link-proxy.js';

/** The ports of what runs now, by the name of the node. */
export interface NetworkPorts {
  readonly nodeNames: readonly string[];
  readonly portOf: (node: string) => number | undefined;
  readonly etcdPort: number;
  /** The node that opens a connection, by its first bytes and its port; nothing for everybody else. */
  readonly openerOf: (start: Buffer, openerPort: number) => Promise<string>;
  readonly scheme: 'http' | 'https';
}

/** How a link is broken. */
export type Cut = 'refuse' | 'hold both ways' | 'hold what comes' | 'hold what goes';

/**
 * The network between the nodes of a cluster, and from each of them to etcd. A node advertises one address, so a
 * proxy stands in front of each, which finds out who opens a connection to it, so every ordered pair of nodes has a
 * link of its own all the same.
 */
export class Network {
  readonly #ports: NetworkPorts;
  readonly #links = new Map<string, Link>();
  readonly #etcdLinks = new Map<string, Link>();
  readonly #proxies = new Map<string, LinkProxy>();
  readonly #etcdProxies = new Map<string, LinkProxy>();

  private constructor(ports: NetworkPorts) {
    this.#ports = ports;
  }

  static async open(ports: NetworkPorts): Promise<Network> {
    const { nodeNames, portOf, etcdPort, openerOf } = ports;
    const network = new Network(ports);
    for (const node of nodeNames) {
      const proxy = await LinkProxy.open({
        targetPort: () => portOf(node),
        linkOf: async (...opener) => network.link(await openerOf(...opener), node),
      });
      network.#proxies.set(node, proxy);
      const link = new Link();
      network.#etcdLinks.set(node, link);
      const etcdProxy = await LinkProxy.open({
        targetPort: () => etcdPort,
        linkOf: () => Promise.resolve(link),
      });
      network.#etcdProxies.set(node, etcdProxy);
    }
    return network;
  }

  /** The address at which the others reach the node. */
  advertisedUrl(node: string): string {
    return this.#url(this.#proxies.get(node));
  }

  /** The address at which the node reaches etcd. */
  etcdUrl(node: string): string {
    return this.#url(this.#etcdProxies.get(node));
  }

  /** What the node's connections to another one go over. */
  link(opener: string, taker: string): Link {
    const key = `${opener} ${taker}`;
    const link = this.#links.get(key) ?? new Link();
    this.#links.set(key, link);
    return link;
  }

  etcdLink(node: string): Link {
    return this.#etcdLinks.get(node) ?? new Link();
  }

  /** Breaks what lies between a node and others. */
  cut(node: string, others: readonly string[], cut: Cut): void {
    for (const other of others) {
      const [opened, taken] = [this.link(node, other), this.link(other, node)];
      if (cut === 'refuse') {
        opened.refuse();
        taken.refuse();
      }
      if (cut === 'hold both ways' || cut === 'hold what comes') {
        opened.back.isHeld = true;
        taken.there.isHeld = true;
      }
      if (cut === 'hold both ways' || cut === 'hold what goes') {
        opened.there.isHeld = true;
        taken.back.isHeld = true;
      }
    }
  }

  /** Breaks what lies between a node and etcd. */
  cutEtcd(node: string, cut: Cut): void {
    const link = this.etcdLink(node);
    if (cut === 'refuse') link.refuse();
    link.back.isHeld = cut === 'hold both ways' || cut === 'hold what comes';
    link.there.isHeld = cut === 'hold both ways' || cut === 'hold what goes';
  }

  /** Makes everything late that goes between a node and the others. */
  slow(node: string, delayMs: number): void {
    for (const other of this.othersOf(node)) {
      for (const link of [this.link(node, other), this.link(other, node)]) {
        link.there.delayMs = delayMs;
        link.back.delayMs = delayMs;
      }
    }
  }

  heal(node: string, others: readonly string[]): void {
    for (const other of others) {
      this.link(node, other).heal();
      this.link(other, node).heal();
    }
  }

  othersOf(node: string): readonly string[] {
    return this.#ports.nodeNames.filter((name) => name !== node);
  }

  close(): void {
    for (const proxy of [...this.#proxies.values(), ...this.#etcdProxies.values()]) proxy.close();
  }

  #url(proxy: LinkProxy | undefined): string {
    return `${this.#ports.scheme}://127.0.0.1:${proxy?.port}`;
  }
}

/** Who opens a stream of replication, as its first line says where it can be read; nothing for everybody else. */
export async function openerInFirstLine(start: Buffer): Promise<string> {
  const [line = ''] = start.toString('latin1', 0, 1_024).split('\r\n');
  return /^GET \/replication\/stream\?(?:.*&)?node=([\w-]+)/.exec(line)?.[1] ?? '';
}
