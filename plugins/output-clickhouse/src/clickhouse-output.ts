import {
  type CheckStep,
  type Output,
  type OutputBatch,
  type OutputContext,
  PluginError,
  type PluginOptions,
  type WriteOutcome,
} from '@chukcha/plugin-api';
import { BatchDelivery, type Rows } from './batch-delivery.js';
import { checkTarget } from './check-target.js';
import { isTooManyParts, kindOf, toPluginError, unknownFieldOf } from './classify-error.js';
import type { ClickHouseEngine } from './clickhouse-engine.js';
import { errorMeanings } from './error-classes.js';
import { findFix } from './find-fix.js';
import { InsertPace } from './insert-pace.js';
import { insertSettings } from './insert-settings.js';
import { areAllStrangers } from './message-format.js';
import { findBlankMessages } from './message-rows.js';
import { type OutputConfig, openEngine, resolveConfig } from './output-config.js';
import {
  type PreparedTable,
  prepareTable,
  readVersion,
  warnOfRepetitions,
} from './prepare-table.js';
import { quoteTable } from './quoting.js';
import { ServerError } from './server-error.js';

/** More batches than a host has under way at a time. */
const deliveriesMax = 64;

/** The target is asked, but one that is down is waited for by `write`. */
export async function open(options: PluginOptions, context: OutputContext): Promise<Output> {
  const config = resolveConfig(options, process.env, context.category);
  const engine = await openEngine(config);
  return openOutput(engine, config, context);
}

/** The output to an engine of one's own; {@link open} without the options. */
export async function openOutput(
  engine: ClickHouseEngine,
  config: OutputConfig,
  context: OutputContext,
): Promise<Output> {
  const output = new ClickHouseOutput(engine, config, context);
  try {
    await output.start();
    return output;
  } catch (error) {
    await output.close();
    throw error;
  }
}

/** See {@link checkTarget}. */
export function check(options: PluginOptions, context: OutputContext): AsyncIterable<CheckStep> {
  return checkTarget(options, process.env, context);
}

/**
 * Inserts batches, each as one statement that the server stores as a whole, named by the token of the batch. What the
 * server and the table are is asked before the first batch, and again after every failure that is not about messages.
 */
class ClickHouseOutput implements Output {
  readonly #engine: ClickHouseEngine;
  readonly #config: OutputConfig;
  readonly #context: OutputContext;
  readonly #pace: InsertPace;
  /** Batches that failed on their way, by their tokens: the next try goes on where they stood. */
  readonly #deliveries = new Map<string, BatchDelivery>();
  readonly #closed = new AbortController();
  #table: PreparedTable | undefined;
  #formatTold: string | undefined;
  #isFormatSure = false;
  #closing: Promise<void> | undefined;

  constructor(engine: ClickHouseEngine, config: OutputConfig, context: OutputContext) {
    this.#engine = engine;
    this.#config = config;
    this.#context = context;
    this.#pace = new InsertPace(engine.insertsMax, config.insert.asyncInsert);
  }

  get isIdempotent(): boolean {
    return this.#config.insert.deduplicate;
  }

  /** Changes when the server asks for fewer and larger inserts. */
  get batching() {
    return this.#pace.advice;
  }

  /** Throws a `PluginError` of kind `operator` for what only a person can mend. */
  async start(): Promise<void> {
    const { log } = this.#context;
    const sample = await this.#context.sample();
    // A table that will be created by the first messages cannot be looked at before them, but who asks can be.
    const isEarly =
      sample.length === 0 && this.#config.createTable && this.#config.format !== 'text';
    try {
      if (isEarly) {
        await readVersion(this.#engine, this.#closed.signal);
        return;
      }
      const table = await this.#prepare(sample, this.#closed.signal);
      if (sample.length > 0) this.#refuseStrangers(table, sample);
      if (this.#config.insert.deduplicate)
        await warnOfRepetitions(this.#engine, this.#config, log, this.#closed.signal);
    } catch (error) {
      const reported = this.#report(error, sample);
      if (reported.kind === 'operator') throw reported;
      log.warn('The target cannot be asked yet.', { reason: reported.message });
    }
  }

  /**
   * Resolves when the server has stored the messages, as it promises it to those who wait for the end of an insert.
   * Calls may overlap.
   */
  async write(batch: OutputBatch, signal: AbortSignal): Promise<WriteOutcome | undefined> {
    signal.throwIfAborted();
    try {
      const table = await this.#prepare(batch.bytes, signal);
      this.#refuseStrangers(table, batch.bytes);
      const delivery = this.#deliveryOf(batch, table);
      const outcome = await delivery.run(batch, (rows) => this.#insert(table, rows, signal));
      this.#deliveries.delete(batch.token);
      this.#pace.succeeded();
      return outcome;
    } catch (error) {
      if (signal.aborted) throw error;
      // The host cuts the batch in two, and each half has a token of its own.
      if (kindOf(error) === 'data') this.#deliveries.delete(batch.token);
      else this.#table = undefined;
      if (isTooManyParts(error)) await this.#slowDown(signal);
      throw this.#report(error, batch.bytes);
    }
  }

  close(): Promise<void> {
    this.#closed.abort();
    this.#closing ??= this.#engine.close();
    return this.#closing;
  }

  async #prepare(messages: Uint8Array, signal: AbortSignal): Promise<PreparedTable> {
    if (this.#table !== undefined) return this.#table;
    const { log } = this.#context;
    const table = await prepareTable(this.#engine, this.#config, messages, log, signal);
    this.#table = table;
    if (this.#config.format === 'auto' && this.#formatTold !== table.format) {
      this.#formatTold = table.format;
      log.info('The format was chosen by the table.', { format: table.format });
    }
    return table;
  }

  /** Where the format was not asked for, a whole category of other messages is no case for dead letters. */
  #refuseStrangers({ format }: PreparedTable, messages: Uint8Array): void {
    if (this.#isFormatSure || this.#config.format !== 'auto' || format !== 'json') return;
    this.#isFormatSure = !areAllStrangers(messages);
    if (this.#isFormatSure) return;
    throw new PluginError(
      'operator',
      `The messages are no JSON objects, but ${quoteTable(this.#config.target)} has other columns than ${this.#config.column}: ` +
        'set format=text to put them into one column (option column), or format=json to have each of them refused.',
    );
  }

  #deliveryOf(batch: OutputBatch, { format }: PreparedTable): BatchDelivery {
    const known = this.#deliveries.get(batch.token);
    if (known !== undefined) return known;
    const json = format === 'json';
    const delivery = new BatchDelivery({
      json,
      rowless: {
        find: json ? findBlankMessages : () => [],
        reason: 'The message is empty, and an empty line makes no row: expected a JSON object.',
      },
      reasonOf: reasonOfRefusal,
    });
    const [oldest] = this.#deliveries.keys();
    if (this.#deliveries.size >= deliveriesMax && oldest !== undefined)
      this.#deliveries.delete(oldest);
    this.#deliveries.set(batch.token, delivery);
    return delivery;
  }

  async #insert(table: PreparedTable, rows: Rows, signal: AbortSignal): Promise<void> {
    const { target, column, insert } = this.#config;
    const { metrics } = this.#context;
    metrics.counter('inserts_total', 'Inserts that were sent.').add();
    const isText = table.format === 'text';
    try {
      await this.#engine.insert(
        {
          target,
          ...(isText ? { columns: [column] } : {}),
          format: isText ? 'LineAsString' : 'JSONEachRow',
          settings: insertSettings(insert, rows, table.version),
          pieces: rows.pieces,
        },
        signal,
      );
    } catch (error) {
      metrics.counter('inserts_failed_total', 'Inserts that failed or were refused.').add();
      if (insert.unknownFields === 'stop' && unknownFieldOf(error) !== undefined)
        throw new MissingColumn(error as ServerError);
      throw error;
    }
  }

  async #slowDown(signal: AbortSignal): Promise<void> {
    this.#context.log.warn('The table has too many parts: inserts get larger and fewer.');
    await this.#pace.slowDown(signal);
  }

  #report(error: unknown, messages: Uint8Array): PluginError {
    const { label } = this.#engine;
    const cause = error instanceof MissingColumn ? error.refusal : error;
    const reported = toPluginError(cause, label, (refusal) =>
      findFix(refusal, this.#config, messages),
    );
    if (cause === error) return reported;
    return new PluginError('operator', reported.message, { cause });
  }
}

/** A refusal for data that stands for a column that somebody has to add. */
class MissingColumn extends Error {
  readonly kind = 'operator';
  readonly refusal: ServerError;

  constructor(refusal: ServerError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

function reasonOfRefusal(error: unknown): string {
  if (!(error instanceof ServerError))
    return error instanceof Error ? error.message : String(error);
  const name = errorMeanings.get(error.code)?.name;
  return `ClickHouse: ${error.message} (code ${error.code}${name === undefined ? '' : `, ${name}`})`;
}
