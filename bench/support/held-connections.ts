import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** How many connections are made at once: far below what a listening socket queues. */
const openingCountMax = 100;

/** Connections that are opened, used once, and held. */
export class HeldConnections {
  readonly #url: URL;
  readonly #connections: HeldConnection[] = [];

  constructor(url: URL) {
    this.#url = url;
  }

  /** Opens connections until there are `count`, and uses each new one. */
  async grow(count: number, use: (connection: HeldConnection) => Promise<void>): Promise<void> {
    while (this.#connections.length < count) {
      const openingCount = Math.min(openingCountMax, count - this.#connections.length);
      const opening = Array.from({ length: openingCount }, async () => {
        const connection = new HeldConnection(this.#url);
        this.#connections.push(connection);
        await use(connection);
      });
      await Promise.all(opening);
    }
  }

  /** Throws when the server has closed some of them, so that fewer were measured than were meant. */
  check(): void {
    const openCount = this.#connections.filter((connection) => connection.isOpen).length;
    if (openCount < this.#connections.length)
      throw new Error(
        `The server closed all but ${openCount} of ${this.#connections.length} held.`,
      );
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}

class HeldConnection {
  readonly #socket: Socket;
  readonly #opened: Promise<unknown>;

  constructor(url: URL) {
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    this.#opened = once(this.#socket, 'connect');
    this.#socket.on('error', () => this.#socket.destroy());
  }

  get isOpen(): boolean {
    return this.#socket.readyState === 'open';
  }

  /** Sends a request and waits for the beginning of its answer, which is short. */
  async exchange(request: Buffer): Promise<void> {
    const answered = once(this.#socket, 'data');
    await this.send(request);
    await answered;
  }

  /** Resolves when the system has taken all bytes, which the server need not have read yet. */
  async send(bytes: Buffer): Promise<void> {
    await this.#opened;
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
