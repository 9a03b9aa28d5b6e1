import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A document as the recorder keeps it: the bytes of its line. */
interface RecordedDocument {
  readonly id: string;
  readonly index: string;
  readonly source: Buffer;
}

/** What a test makes of one request before the recorder answers it. */
export interface Answering {
  /** Answers instead of the recorder, which stores nothing. */
  readonly instead?: { readonly status: number; readonly body: string };
  /** Stores, and then sends this answer in place of its own. */
  readonly afterStoring?: (response: ServerResponse, answer: string) => void;
  /** The status and error of single documents, by their place in the request, which are not stored. */
  readonly items?: Readonly<Record<number, { readonly status: number; readonly error: object }>>;
}

/**
 * A fake: an HTTP server that speaks the protocol of `_bulk` as Elasticsearch 8 documents it, with documents in memory. It
 * is for what a real server cannot be brought to do on demand; it knows no mappings, no security and no shards.
 */
export class BulkRecorder {
  readonly documents: RecordedDocument[] = [];
  /** Paths with query of all requests, and the bytes of their bodies as they came. */
  readonly requests: {
    readonly path: string;
    readonly byteCount: number;
    readonly headers: IncomingMessage['headers'];
  }[] = [];
  /** What is done to the next `_bulk` requests, one after another. */
  readonly script: Answering[] = [];
  /** Larger requests are answered with 413. */
  bodyBytesMax = Number.POSITIVE_INFINITY;
  /** The only `Authorization` that is let in. */
  authorization: string | undefined;
  readonly #server: Server;
  readonly #places = new Map<string, number>();
  #nextId = 0;

  private constructor(tls: ServerOptions | undefined) {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#answer(request, response);
    };
    this.#server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  }

  static async start(port = 0, tls?: ServerOptions): Promise<BulkRecorder> {
    const recorder = new BulkRecorder(tls);
    await new Promise<void>((resolve) => recorder.#server.listen(port, '127.0.0.1', resolve));
    return recorder;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Forgets all documents. */
  clear(): void {
    this.documents.length = 0;
    this.#places.clear();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const sent = Buffer.concat(pieces);
    const { url: path = '', headers } = request;
    this.requests.push({ path, byteCount: sent.length, headers });
    const send = (status: number, body: string): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body);
    };
    if (this.authorization !== undefined && headers.authorization !== this.authorization) {
      // A careless proxy repeats what it was sent.
      send(
        401,
        JSON.stringify({
          error: {
            type: 'security_exception',
            reason: `unable to authenticate ${headers.authorization}`,
          },
        }),
      );
      return;
    }
    if (path === '/') {
      send(200, JSON.stringify({ version: { number: '8.19.0' }, tagline: 'You Know, for Search' }));
      return;
    }
    if (!path.includes('_bulk')) {
      send(404, '{}');
      return;
    }
    if (sent.length > this.bodyBytesMax) {
      send(413, '<html>413 Request Entity Too Large</html>');
      return;
    }
    const { instead, afterStoring, items = {} } = this.script.shift() ?? {};
    if (instead !== undefined) {
      send(instead.status, instead.body);
      return;
    }
    const body = headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    const answer = JSON.stringify(this.#store(body, path, items));
    if (afterStoring === undefined) send(200, answer);
    else afterStoring(response, answer);
  }

  #store(body: Buffer, path: string, scripted: NonNullable<Answering['items']>): object {
    const lines = splitLines(body);
    if (lines.length % 2 !== 0)
      throw new Error('A _bulk request has to have a document for each action.');
    const pathIndex = /^\/([^/]+)\/_bulk/.exec(path)?.[1] ?? '';
    const items: object[] = [];
    for (let at = 0; at < lines.length; at += 2) {
      const [[action, target] = ['', {}]] = Object.entries(
        JSON.parse((lines[at] as Buffer).toString()) as Record<
          string,
          { _id?: string; _index?: string }
        >,
      );
      const id = target._id ?? `auto-${this.#nextId++}`;
      const index = target._index ?? pathIndex;
      const place = at / 2;
      const refusal = scripted[place];
      if (refusal !== undefined) {
        items.push({ [action]: refusal });
        continue;
      }
      const name = `${index}/${id}`;
      const known = this.#places.get(name) ?? -1;
      if (known !== -1 && action === 'create') {
        items.push({
          [action]: {
            status: 409,
            error: { type: 'version_conflict_engine_exception', reason: 'document already exists' },
          },
        });
        continue;
      }
      const document = { id, index, source: lines[at + 1] as Buffer };
      if (known === -1) this.#places.set(name, this.documents.push(document) - 1);
      else this.documents[known] = document;
      items.push({ [action]: { status: known === -1 ? 201 : 200 } });
    }
    return { errors: items.some((item) => JSON.stringify(item).includes('error')), items };
  }
}

function splitLines(body: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = body.indexOf(0x0a); end !== -1; end = body.indexOf(0x0a, start)) {
    lines.push(body.subarray(start, end));
    start = end + 1;
  }
  if (start !== body.length) throw new Error('A _bulk request has to end with a newline.');
  return lines;
}
