import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { PluginError } from '@chukcha/plugin-api';
import type { ClickHouseEngine, Insert, Settings } from './clickhouse-engine.js';
import type { EngineStart } from './embedded-engine-messages.js';
import { EngineChild } from './engine-child.js';
import { quoteName, quoteTable, quoteText } from './quoting.js';
import { parseServerError } from './server-error.js';

/** ClickHouse on this machine without a server, with its data in a directory that nobody else has open. */
export class EmbeddedEngine implements ClickHouseEngine {
  readonly label: string;
  /** The engine takes one statement after the other. */
  readonly insertsMax = 1;
  readonly #directory: string;
  readonly #spoolDirectory: string;
  /** Replaced when its process has ended. */
  #engine: EngineChild;
  /** The insert under way, also after an abort made the caller give up waiting. */
  #busy: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(directory: string, engine: EngineChild, spool: string) {
    this.label = `The embedded ClickHouse in ${directory}`;
    this.#directory = resolve(directory);
    this.#engine = engine;
    this.#spoolDirectory = spool;
  }

  /** Makes the directory when it is missing. Throws a `PluginError` of kind `operator`. */
  static async open(directory: string): Promise<EmbeddedEngine> {
    const engine = await startEngine(resolve(directory));
    const spool = await mkdtemp(join(tmpdir(), 'chukcha-clickhouse-'));
    return new EmbeddedEngine(directory, engine, spool);
  }

  /** Throws a `PluginError` of kind `operator` when the engine is not installed; opens nothing. */
  static async load(): Promise<void> {
    const found = await EngineChild.start('');
    if (!(found instanceof EngineChild) && found.kind !== 'open') throw cannotOpen('', found);
  }

  async query(statement: string, signal: AbortSignal, settings: Settings = {}): Promise<string> {
    const bytes = await this.queryBytes(statement, 'TabSeparated', signal, settings);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  }

  /** As `query`, in a format that the statement's own wins over; the bytes as the engine gives them. */
  queryBytes(
    statement: string,
    format: string,
    signal: AbortSignal,
    settings: Settings = {},
  ): Promise<Uint8Array> {
    const given = toAssignments(settings);
    const text = given === '' ? statement : `${statement} SETTINGS ${given}`;
    return this.#afterOthers(signal, (engine) => engine.query(text, format));
  }

  /**
   * The rows go through a file. The engine takes rows also behind the statement, but there an empty line ends them, and
   * what follows would be run as statements.
   */
  insert(
    { target, columns, format, settings, pieces }: Insert,
    signal: AbortSignal,
  ): Promise<void> {
    const names = columns === undefined ? '' : ` (${columns.map(quoteName).join(', ')})`;
    const path = join(this.#spoolDirectory, 'rows');
    const statement =
      `INSERT INTO ${quoteTable(target)}${names} FROM INFILE ${quoteText(path)} COMPRESSION 'none' ` +
      `SETTINGS ${toAssignments(settings)} FORMAT ${format}`;
    let isWritten: Promise<void> = Promise.resolve();
    const inserted = this.#afterOthers(signal, async (engine) => {
      isWritten = writeFile(path, pieces);
      await isWritten;
      await engine.query(statement, 'TabSeparated');
    });
    // The bytes are the caller's again when this settles, so an abort waits for the file, which takes some milliseconds.
    return inserted.catch(async (error: unknown) => {
      await isWritten.catch(() => undefined);
      throw error;
    });
  }

  /** Resolves when the directory is free for others. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#busy;
    await this.#engine.close();
    await rm(this.#spoolDirectory, { recursive: true, force: true });
  }

  /** Runs one after the other. An abort ends the wait, but not what the engine has begun: it cannot be stopped. */
  async #afterOthers<Result>(
    signal: AbortSignal,
    run: (engine: EngineChild) => Promise<Result>,
  ): Promise<Result> {
    signal.throwIfAborted();
    const turn = this.#busy.then(async () => {
      signal.throwIfAborted();
      if (this.#engine.hasEnded) this.#engine = await startEngine(this.#directory);
      return run(this.#engine);
    });
    this.#busy = turn.catch(() => undefined);
    try {
      return await untilAbort(turn, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      throw parseServerError(error instanceof Error ? error.message : String(error)) ?? error;
    }
  }
}

async function startEngine(directory: string): Promise<EngineChild> {
  const found = await EngineChild.start(directory);
  if (found instanceof EngineChild) return found;
  throw cannotOpen(directory, found);
}

function cannotOpen(directory: string, { kind, message = '' }: EngineStart): PluginError {
  const reason = message.split('\n')[0];
  if (kind === 'missing') {
    return new PluginError(
      'operator',
      'The embedded ClickHouse is not installed: run npm install chdb where chukcha is installed (npm install --global chdb ' +
        `for a global one; it takes 550 MB), or give the address of a server. (${reason})`,
    );
  }
  return new PluginError(
    'operator',
    `The embedded ClickHouse could not open ${directory} (${reason}): one process at a time has a directory, ` +
      'and it has to be writable. End the sink or the query that has it, or choose another directory.',
  );
}

async function writeFile(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for (const piece of pieces) {
      for (let done = 0; done < piece.length; ) {
        done += (await file.write(piece, done)).bytesWritten;
      }
    }
  } finally {
    await file.close();
  }
}

function toAssignments(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${typeof value === 'number' ? value : quoteText(value)}`)
    .join(', ');
}

/** Settles as the promise does, or rejects with the reason of the signal when that aborts from now on. */
async function untilAbort<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
