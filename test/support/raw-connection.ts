import { connect, type Socket } from 'node:net';

/** One answer as it came over a connection. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A connection on which a test decides about every byte. */
export class RawConnection {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #heard = '';
  #wake: () => void = () => undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ port: Number(port), host: hostname, noDelay: true });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (piece) => {
      this.#heard += piece.toString('latin1');
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        resolve();
        this.#wake();
      });
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Resolves when more has been heard, or the connection is closed. */
  async heardMore(): Promise<void> {
    const heard = this.#heard.length;
    while (this.#heard.length === heard && !this.socket.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Resolves when the connection is closed, or nothing was heard for so long. */
  async quiet(forMs: number): Promise<void> {
    for (let heard = -1; heard !== this.#heard.length && !this.socket.closed; ) {
      heard = this.#heard.length;
      const waited = new Promise((resolve) => setTimeout(resolve, forMs));
      await Promise.race([this.closed, waited]);
    }
  }

  /** The next answer; interim ones are passed over. Rejects when the connection ends before it. */
  async answer(): Promise<RawAnswer> {
    for (;;) {
      const answer = this.#take();
      if (answer !== undefined) return answer;
      if (this.socket.closed) throw new Error(`The connection ended after ${this.#heard}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** All answers until the connection is closed. */
  async answersUntilClose(): Promise<RawAnswer[]> {
    await this.closed;
    const answers: RawAnswer[] = [];
    for (let next = this.#take(); next !== undefined; next = this.#take()) answers.push(next);
    return answers;
  }

  #take(): RawAnswer | undefined {
    for (let next = takeAnswer(this.#heard); next !== undefined; next = takeAnswer(this.#heard)) {
      this.#heard = this.#heard.slice(next.byteCount);
      if (next.status >= 200) return next;
    }
    return undefined;
  }
}

/** The first whole answer of a text; `undefined` while there is none. */
function takeAnswer(heard: string): (RawAnswer & { byteCount: number }) | undefined {
  const headEnd = heard.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [first = '', ...lines] = heard.slice(0, headEnd).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const status = Number(first.split(' ')[1]);
  const bodyBytes = Number(headers.get('content-length') ?? 0);
  const byteCount = headEnd + 4 + bodyBytes;
  if (heard.length < byteCount) return undefined;
  return { status, headers, body: heard.slice(headEnd + 4, byteCount), byteCount };
}

export function writeRequest(body: string, category = 'logs', extra = ''): string {
  return `POST /write?category=${category} HTTP/1.1\r\nHost: x\r\n${extra}Content-Length: ${body.length}\r\n\r\n${body}`;
}

export function readRequest(parameters: string): string {
  return `GET /read?category=logs&chunk=node1-chunk000000000${parameters} HTTP/1.1\r\nHost: x\r\n\r\n`;
}
