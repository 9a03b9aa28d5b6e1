import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '../support/seeded-random.js';

/**
 * What happens to a request that writes:
 * - `pass`: it goes through
 * - `slow`: it goes through, and the answer waits as at a busy target
 * - `drop`: the target carries it out, and the connection breaks instead of the answer
 * - `half`: the target carries it out, and the answer breaks off in the middle
 * - `hang`: the target carries it out, and nothing is answered
 * - `late`: the target sees it when the sender has given up and tried again
 * - `broken`: the connection breaks, and the target sees nothing
 * - `busy`: the target sees nothing, and 503 is answered
 */
const faults = ['drop', 'half', 'hang', 'late', 'broken', 'busy'] as const;

type Fault = 'pass' | 'slow' | (typeof faults)[number];

/** One write in so many meets a fault, and one in so many of the others is slow. */
const faultPeriod = 4;
const slowPeriod = 2;

const slowMsMax = 300;

export interface TargetProxyOptions {
  readonly targetPort: () => number;
  /** Tells the requests that write from those that ask. */
  readonly isWrite: (method: string, path: string) => boolean;
  /** How long the sender waits for an answer. */
  readonly timeoutMs: number;
  readonly random: SeededRandom;
}

/**
 * An HTTP proxy between a sink and a real target that treats writes badly at random. It counts what it did, and how many
 * writes were under way when their sender was killed.
 */
export class TargetProxy {
  readonly counts = new Map<Fault | 'writes' | 'sender gone', number>();
  /** While it is true nothing reaches the target and nothing is answered, as if the target were frozen. */
  isSilent = false;
  /** While it is false everything passes. */
  isFaulty = true;
  readonly #options: TargetProxyOptions;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(server: Server, options: TargetProxyOptions) {
    this.#server = server;
    this.#options = options;
    server.on('request', (incoming, outgoing) => {
      // The target is away: so is the connection.
      this.#answer(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  static async start(options: TargetProxyOptions): Promise<TargetProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TargetProxy(server, options);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await collect(incoming);
    const { timeoutMs, random } = this.#options;
    const isWrite = this.#options.isWrite(incoming.method ?? '', incoming.url ?? '');
    if (isWrite) this.#count('writes');
    // What was held is given up by its sender long before it may go on.
    while (this.isSilent && !outgoing.destroyed) await sleep(50);
    if (outgoing.destroyed) return;
    const fault = isWrite ? this.#nextFault() : 'pass';
    if (isWrite) this.#count(fault);
    if (isWrite && (fault === 'pass' || fault === 'slow'))
      outgoing.once('close', () => {
        if (!outgoing.writableFinished) this.#count('sender gone');
      });
    if (fault === 'broken') throw new Error('broken');
    if (fault === 'busy') {
      outgoing.writeHead(503).end('out of order');
      return;
    }
    if (fault === 'late') await sleep(timeoutMs + random.integer(0, timeoutMs));
    const { status, headers, answer } = await this.#forward(incoming, body);
    if (fault === 'slow') await sleep(random.integer(0, slowMsMax));
    if (fault === 'drop') outgoing.destroy();
    if (fault === 'half') {
      outgoing.writeHead(status, { 'content-length': answer.length + 10 });
      outgoing.write(answer);
      setImmediate(() => outgoing.destroy());
    }
    if (fault === 'pass' || fault === 'slow') outgoing.writeHead(status, headers).end(answer);
  }

  #nextFault(): Fault {
    const { random } = this.#options;
    if (!this.isFaulty) return 'pass';
    if (random.integer(1, faultPeriod) === 1)
      return faults[random.integer(0, faults.length - 1)] ?? 'pass';
    return random.integer(1, slowPeriod) === 1 ? 'slow' : 'pass';
  }

  async #forward(incoming: IncomingMessage, body: Buffer) {
    const headers = { ...incoming.headers, 'content-length': body.length };
    delete headers['transfer-encoding'];
    const onward = request({
      host: '127.0.0.1',
      port: this.#options.targetPort(),
      agent: this.#agent,
      method: incoming.method,
      path: incoming.url,
      headers,
    });
    onward.end(body);
    const [response] = (await once(onward, 'response')) as [IncomingMessage];
    const answer = await collect(response);
    return { status: response.statusCode ?? 0, headers: response.headers, answer };
  }

  #count(what: Fault | 'writes' | 'sender gone'): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}
