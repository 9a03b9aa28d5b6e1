import type { AnswerHead } from './answer-head.js';
import type { NodeAddress } from './connect-node.js';
import { authorizationHeader, type Credentials } from './credentials.js';
import { ReadConnection, type ReadResult } from './read-connection.js';

/** More than a consumer has reads under way at a time. */
const idleConnectionCountMax = 16;

/** How long the general way is taken when something in front of the node does not answer plainly. */
const pauseMs = 60_000;

export interface LaneRead {
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly silenceMsMax: number;
  readonly timeoutError: () => Error;
  readonly takeBuffer: (head: AnswerHead) => Buffer;
  /** Gives up the call, which then fails with `abortedError`. */
  readonly signal: AbortSignal | undefined;
  readonly abortedError: () => Error;
  /** Whether the node may hold the call until there is something to tell. */
  readonly isHeld: boolean;
}

/**
 * The short way for reads of messages. Node's HTTP client makes a buffer of 64 KiB for each piece of an answer, which is
 * copied then: on 8 MiB that is more work than all the rest of a sink. Here they are read into the buffer that they are
 * to lie in. It understands answers as a node gives them and nothing else; a read changes nothing, so what has no such
 * answer is asked once more in the general way.
 */
export class ReadLane {
  readonly #address: NodeAddress;
  readonly #credentials: Credentials;
  readonly #headLines: string;
  readonly #idle: ReadConnection[] = [];
  /** Those whose request the node may hold. */
  readonly #held = new Set<ReadConnection>();
  #isClosed = false;
  #pausedUntilMs = 0;

  /** @param credentials with a token that a header can carry */
  constructor(address: NodeAddress, credentials: Credentials) {
    this.#address = address;
    this.#credentials = credentials;
    const headers = { Host: address.host, ...authorizationHeader(credentials) };
    this.#headLines = toLines(headers);
  }

  /**
   * The answer, whatever its status; `undefined` when the call has to go the general way. Rejects with the error of the
   * connection.
   */
  async read(read: LaneRead): Promise<ReadResult | undefined> {
    const { path, headers, signal, abortedError, isHeld } = read;
    if (performance.now() < this.#pausedUntilMs) return undefined;
    const connection = this.#takeConnection();
    const abort = (): void => connection.fail(abortedError());
    signal?.addEventListener('abort', abort, { once: true });
    if (isHeld) this.#held.add(connection);
    try {
      const text = `GET ${path} HTTP/1.1\r\n${this.#headLines}${toLines(headers)}\r\n`;
      const result = await connection.ask({ ...read, text });
      if (result === 'not plain') this.#pausedUntilMs = performance.now() + pauseMs;
      return typeof result === 'string' ? undefined : result;
    } finally {
      this.#held.delete(connection);
      signal?.removeEventListener('abort', abort);
      this.#giveBack(connection);
    }
  }

  /** Ends the calls that the node holds; they throw the error. */
  breakHeld(error: Error): void {
    for (const connection of this.#held) if (!connection.isAnswering) connection.fail(error);
  }

  /** Closes idle connections; calls that are under way go on. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.fail(undefined);
  }

  #takeConnection(): ReadConnection {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop())
      if (connection.isOpen) return connection;
    return new ReadConnection(this.#address, this.#credentials);
  }

  #giveBack(connection: ReadConnection): void {
    if (!connection.isOpen) return;
    if (this.#isClosed || this.#idle.length >= idleConnectionCountMax) connection.fail(undefined);
    else this.#idle.push(connection);
  }
}

function toLines(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}
