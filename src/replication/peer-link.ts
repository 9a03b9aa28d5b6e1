import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import {
  type ReplicaHello,
  replicationPath,
  replicationQueryNames,
} from '../protocol/replication.js';
import type { Channel, Network } from './channel.js';
import type { Peer } from './membership.js';

export interface PeerLinkPorts {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly hello: () => ReplicaHello;
  /** Uses a stream until it is gone; resolves then, with the reason. */
  readonly use: (channel: Channel) => Promise<string>;
}

/** How long to wait before a peer is tried again: soon at first, because most come back soon. */
const backoffOptions = { firstDelayMs: 50, delayMsMax: 2_000 };

/** Keeps a stream open to a peer, and opens it again when it is gone. */
export class PeerLink {
  readonly peer: Peer;
  readonly #ports: PeerLinkPorts;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #problem: string | undefined = 'it was not tried yet';

  constructor(peer: Peer, ports: PeerLinkPorts) {
    this.peer = peer;
    this.#ports = ports;
    this.#ended = this.#run();
  }

  /** Why there is no stream, as a part of a sentence; `undefined` while there is one. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Opens no more streams; resolves when none is being opened. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { random, clock } = this.#ports;
    const { signal } = this.#stop;
    let backoff = new Backoff(random, backoffOptions);
    while (!signal.aborted) {
      if (await this.#useOne(signal)) backoff = new Backoff(random, backoffOptions);
      await sleep(clock, backoff.nextDelayMs(), signal).catch(() => undefined);
    }
  }

  /** Opens a stream and uses it to its end. Tells whether one was opened. */
  async #useOne(signal: AbortSignal): Promise<boolean> {
    const { network, log, hello, use } = this.#ports;
    const { name, url } = this.peer;
    let channel: Channel;
    try {
      channel = await network.connect(url, targetOf(hello()), signal);
    } catch (error) {
      const problem = errorMessage(error);
      if (problem !== this.#problem && !signal.aborted) {
        log.warn('A peer cannot be reached; it is tried again.', { peer: name, error: problem });
      }
      this.#problem = problem;
      return false;
    }
    if (signal.aborted) {
      channel.close();
      return false;
    }
    log.info('Replicating a peer.', { peer: name, address: url });
    this.#problem = undefined;
    const reason = await use(channel);
    this.#problem = reason;
    if (!signal.aborted) log.warn('The stream from a peer has ended.', { peer: name, reason });
    return true;
  }
}

function targetOf(hello: ReplicaHello): string {
  const words = replicationQueryNames.map((name) => `${name}=${hello[name]}`);
  return `${replicationPath}?${words.join('&')}`;
}
