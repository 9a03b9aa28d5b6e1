import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { PluginError } from '@chukcha/plugin-api';
import type { ClickHouseEngine, Insert, Settings } from './clickhouse-engine.js';
import { type Answer, exchange, type Remote } from './exchange.js';
import { quoteName, quoteTable } from './quoting.js';
import type { ServerTarget } from './resolve-target.js';
import { parseServerError } from './server-error.js';
import { HttpError } from './transport-errors.js';

export interface HttpEngineOptions {
  readonly server: ServerTarget;
  readonly compression: 'auto' | 'gzip' | 'none';
  readonly timeoutMs: number;
}

/** A smaller body travels in one packet anyway. */
const gzipBytesMin = 1024;

/** One answers questions while others insert. */
const connectionCountMax = 4;

/**
 * Servers close connections that were idle for 3 s (older ones) to 30 s. One that is closed while a request is on its
 * way looks like an insert of unknown outcome, so they are given up earlier here.
 */
const idleMsMax = 2_500;

/** ClickHouse behind its HTTP interface. */
export class HttpEngine implements ClickHouseEngine {
  readonly label: string;
  readonly insertsMax = 2;
  readonly #remote: Remote;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #gzip: boolean;
  readonly #timeoutMs: number;

  constructor({ server, compression, timeoutMs }: HttpEngineOptions) {
    const { host, port, tls } = server;
    this.label = `ClickHouse at ${host.includes(':') ? `[${host}]` : host}:${port}`;
    const pool = { keepAlive: true, maxSockets: connectionCountMax, timeout: idleMsMax };
    const agent = tls ? new HttpsAgent({ ...pool, ...readCa(server) }) : new HttpAgent(pool);
    this.#remote = { host, port, tls, agent };
    // Not the headers of ClickHouse's own: they cannot carry every password.
    const credentials = Buffer.from(`${server.user}:${server.password}`).toString('base64');
    this.#headers = { Authorization: `Basic ${credentials}` };
    this.#gzip = compression === 'gzip' || (compression === 'auto' && !isThisMachine(host));
    this.#timeoutMs = timeoutMs;
  }

  async query(statement: string, signal: AbortSignal, settings: Settings = {}): Promise<string> {
    const answer = await exchange(
      this.#remote,
      {
        path: `/?${toParameters(settings)}`,
        headers: this.#headers,
        pieces: [Buffer.from(statement)],
        gzip: false,
        timeoutMs: this.#timeoutMs,
      },
      signal,
    );
    throwIfRefused(answer);
    return answer.text;
  }

  async insert(insert: Insert, signal: AbortSignal): Promise<void> {
    const { target, columns, format, settings, pieces } = insert;
    const names = columns === undefined ? '' : ` (${columns.map(quoteName).join(', ')})`;
    const parameters = toParameters({
      ...settings,
      // Without it, a success can be answered before the rows are stored.
      wait_end_of_query: 1,
      query: `INSERT INTO ${quoteTable(target)}${names} FORMAT ${format}`,
    });
    const byteCount = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const answer = await exchange(
      this.#remote,
      {
        path: `/?${parameters}`,
        headers: this.#headers,
        pieces,
        gzip: this.#gzip && byteCount >= gzipBytesMin,
        timeoutMs: this.#timeoutMs,
      },
      signal,
    );
    throwIfRefused(answer);
    // A page of something in between that answers everything with 200 has stored nothing.
    if (answer.text.trim() !== '') {
      throw parseServerError(answer.text) ?? new HttpError(answer.status, answer.text);
    }
  }

  async close(): Promise<void> {
    this.#remote.agent.destroy();
  }
}

function throwIfRefused({ status, exceptionCode, text }: Answer): void {
  if (status === 200 && exceptionCode === undefined) return;
  throw parseServerError(text, exceptionCode) ?? new HttpError(status, text);
}

function toParameters(settings: Settings): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) parameters.set(name, String(value));
  return parameters.toString();
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function readCa({ caFile }: ServerTarget): { readonly ca?: Buffer } {
  if (caFile === undefined) return {};
  try {
    return { ca: readFileSync(caFile) };
  } catch (cause) {
    throw new PluginError(
      'operator',
      `The file ${caFile} of option ca_file could not be read (${(cause as Error).message}): expected certificates in PEM.`,
      { cause },
    );
  }
}
