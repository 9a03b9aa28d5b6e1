import { ChukchaError } from '../../src/protocol/chukcha-error.js';
import type { ReplicaHello } from '../../src/protocol/replication.js';
import { replicationQueryNames } from '../../src/protocol/replication.js';
import type { Channel, ChannelSink, Network } from '../../src/replication/channel.js';

/** How many bytes wait on a connection before it is full. */
const fullBytes = 256 * 1024;

type Accept = (hello: ReplicaHello, open: () => Channel) => void;

/** A network in memory: nodes by their addresses, connections that can be cut. What is sent arrives in a later turn. */
export class MemoryNetwork {
  readonly #nodes = new Map<string, Accept>();
  readonly #pairs = new Set<{ from: string; to: string; cut(): void }>();
  readonly #cuts = new Set<string>();

  listen(url: string, accept: Accept): void {
    this.#nodes.set(url, accept);
  }

  unlisten(url: string): void {
    this.#nodes.delete(url);
    this.#cutWhere((pair) => pair.from === url || pair.to === url);
  }

  /** Breaks what `from` has opened to `to`, and lets it open nothing more. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    this.#cutWhere((pair) => pair.from === from && pair.to === to);
  }

  heal(): void {
    this.#cuts.clear();
  }

  /** The network as one node has it. */
  of(from: string): Network {
    return {
      connect: async (to, target) => {
        await new Promise(setImmediate);
        const accept = this.#nodes.get(to);
        if (accept === undefined || this.#cuts.has(`${from} ${to}`)) {
          throw new ChukchaError('server_unreachable', `${to} does not answer`);
        }
        const [here, there] = pairOfChannels();
        const query = new URLSearchParams(target.slice(target.indexOf('?')));
        const hello = Object.fromEntries(
          replicationQueryNames.map((name) => [
            name,
            name === 'epoch' ? Number(query.get(name)) : query.get(name),
          ]),
        ) as unknown as ReplicaHello;
        accept(hello, () => there);
        const pair = { from, to, cut: () => here.break() };
        this.#pairs.add(pair);
        here.onClosed = () => this.#pairs.delete(pair);
        return here;
      },
    };
  }

  #cutWhere(isMeant: (pair: { from: string; to: string }) => boolean): void {
    for (const pair of [...this.#pairs]) if (isMeant(pair)) pair.cut();
  }
}

class MemoryChannel implements Channel {
  other!: MemoryChannel;
  onClosed: () => void = () => undefined;
  #sink: ChannelSink | undefined;
  #incoming: Buffer[] = [];
  #waitingBytes = 0;
  #isPaused = false;
  #isScheduled = false;
  #isClosed = false;

  get isFull(): boolean {
    return this.other.#waitingBytes >= fullBytes;
  }

  attach(sink: ChannelSink): void {
    this.#sink = sink;
    this.#schedule();
  }

  send(parts: readonly Uint8Array[], released?: () => void): void {
    if (this.#isClosed) return;
    for (const part of parts) {
      this.other.#incoming.push(Buffer.from(part));
      this.other.#waitingBytes += part.length;
    }
    this.other.#schedule();
    released?.();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  close(): void {
    this.break();
  }

  /** Ends both sides; what is on its way is lost. */
  break(): void {
    for (const side of [this, this.other]) {
      if (side.#isClosed) continue;
      side.#isClosed = true;
      side.#incoming = [];
      side.onClosed();
      setImmediate(() => side.#sink?.closed('the connection broke'));
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    const wasFull = this.other.isFull;
    while (!this.#isPaused && !this.#isClosed) {
      const bytes = this.#incoming.shift();
      if (bytes === undefined) break;
      this.#waitingBytes -= bytes.length;
      for (let at = 0; at < bytes.length && !this.#isClosed; ) {
        const copied = bytes.copy(sink.target(), 0, at);
        at += copied;
        sink.received(copied);
      }
    }
    if (wasFull && !this.other.isFull) this.other.#sink?.drained();
  }
}

function pairOfChannels(): [MemoryChannel, MemoryChannel] {
  const pair: [MemoryChannel, MemoryChannel] = [new MemoryChannel(), new MemoryChannel()];
  pair[0].other = pair[1];
  pair[1].other = pair[0];
  return pair;
}
