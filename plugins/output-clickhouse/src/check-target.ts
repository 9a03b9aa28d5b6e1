import { existsSync } from 'node:fs';
import type { CheckStep, OutputContext, PluginOptions } from '@chukcha/plugin-api';
import { isOfCredentials, toPluginError, unknownFieldOf } from './classify-error.js';
import type { ClickHouseEngine } from './clickhouse-engine.js';
import { EmbeddedEngine } from './embedded-engine.js';
import { createTableFor, findFix, fixMissingTable } from './find-fix.js';
import { inferColumns, parseObjects } from './infer-columns.js';
import { insertSettings } from './insert-settings.js';
import { areAllStrangers, formatByTable } from './message-format.js';
import { type OutputConfig, openEngine, resolveConfig } from './output-config.js';
import { readVersion } from './prepare-table.js';
import { quoteName, quoteTable, quoteText } from './quoting.js';
import { ServerError } from './server-error.js';
import type { ServerVersion } from './server-version.js';
import { isMergeTree, readColumns, readTableEngine, type TableColumn } from './table-facts.js';
import { addColumnsStatement, deduplicationStatement } from './table-statements.js';

const unknownTable = 60;
const unknownDatabase = 81;

/**
 * Looks whether messages could be inserted: reachable, version, database, table, rights, repetitions, columns, and a
 * sample of the messages as the server reads it. Changes nothing.
 */
export async function* checkTarget(
  options: PluginOptions,
  environment: Readonly<Record<string, string | undefined>>,
  context: OutputContext,
): AsyncGenerator<CheckStep> {
  let engine: ClickHouseEngine;
  let config: OutputConfig;
  try {
    config = resolveConfig(options, environment, context.category);
    if (config.target.engine.kind === 'directory' && !existsSync(config.target.engine.directory)) {
      yield await explainMissingDirectory(config, await context.sample());
      return;
    }
    engine = await openEngine(config);
  } catch (error) {
    yield failed('options', error);
    return;
  }
  try {
    yield* new TargetCheck(engine, config, await context.sample()).steps();
  } finally {
    await engine.close();
  }
}

/** An engine that is opened makes its directory, so it is not opened. */
async function explainMissingDirectory(
  config: OutputConfig,
  sample: Uint8Array,
): Promise<CheckStep> {
  await EmbeddedEngine.load();
  const statement = createTableFor(config, sample, true) ?? 'by the first messages';
  const table = config.createTable ? `, and the table in it: ${statement}` : '';
  return ok('reachable', `The directory does not exist yet: it will be made${table}.`);
}

class TargetCheck {
  readonly #engine: ClickHouseEngine;
  readonly #config: OutputConfig;
  readonly #sample: Uint8Array;
  readonly #table: string;
  readonly #signal = new AbortController().signal;

  constructor(engine: ClickHouseEngine, config: OutputConfig, sample: Uint8Array) {
    this.#engine = engine;
    this.#config = config;
    this.#sample = sample;
    this.#table = quoteTable(config.target);
  }

  async *steps(): AsyncGenerator<CheckStep> {
    const version = await readVersion(this.#engine, this.#signal).catch((error: unknown) => error);
    if (!isVersion(version)) {
      yield this.#failed(isOfCredentials(version) ? 'user' : 'reachable', version);
      return;
    }
    yield ok('reachable', `${this.#engine.label} answers.`);
    yield this.#checkVersion(version);
    const columns = await readColumns(this.#engine, this.#config.target, this.#signal).catch(
      (error: unknown) => error,
    );
    yield* this.#explainTable(columns, version);
    if (!Array.isArray(columns)) return;
    yield* this.#checkRights();
    yield* this.#checkRepetitions();
    yield* this.#checkMessages(columns as TableColumn[], version);
  }

  #checkVersion(version: ServerVersion): CheckStep {
    if (version.isAtLeast(22, 2) || !this.#config.insert.deduplicate)
      return ok('version', `It is version ${version.text}.`);
    return {
      name: 'version',
      result: 'failed',
      detail: `It is version ${version.text}, which cannot tell a repeated insert: expected 22.2 or later.`,
      fix: '--set deduplicate=false',
    };
  }

  *#explainTable(columns: unknown, version: ServerVersion): Generator<CheckStep> {
    if (Array.isArray(columns)) {
      yield ok('table', `${this.#table} is there, with ${columns.length} columns.`);
      return;
    }
    const code = columns instanceof ServerError ? columns.code : undefined;
    if (code === unknownDatabase) {
      const fix = `CREATE DATABASE ${quoteName(this.#config.target.database)}`;
      yield { ...this.#failed('database', columns), fix };
    } else if (code !== unknownTable) {
      yield this.#failed('table', columns);
    } else if (this.#config.createTable) {
      const statement = createTableFor(this.#config, this.#sample, version.isAtLeast(21, 1));
      const how = statement ?? 'by the first messages, when there are some';
      yield ok('table', `${this.#table} is missing and will be created: ${how}`);
    } else {
      const fix = fixMissingTable(this.#config, this.#sample);
      yield { name: 'table', result: 'failed', detail: `${this.#table} does not exist.`, fix };
    }
  }

  async *#checkRights(): AsyncGenerator<CheckStep> {
    const { user } = this.#config;
    const answer = await this.#ask(`CHECK GRANT INSERT ON ${this.#table}`);
    if (typeof answer !== 'string') {
      const detail = `Whether ${user} may insert into ${this.#table} is not known, because the server cannot be asked (CHECK GRANT).`;
      yield { name: 'rights', result: 'warning', detail };
    } else if (answer.trim() === '1') {
      yield ok('rights', `${user} may insert into ${this.#table}.`);
    } else {
      yield {
        name: 'rights',
        result: 'failed',
        detail: `${user} may not insert into ${this.#table}.`,
        fix: `GRANT INSERT ON ${this.#table} TO ${quoteName(user)}`,
      };
    }
  }

  async *#checkRepetitions(): AsyncGenerator<CheckStep> {
    const { target, insert } = this.#config;
    const name = 'repetitions';
    const found = await readTableEngine(this.#engine, target, this.#signal).catch(() => undefined);
    if (found === undefined) {
      const detail = `What engine ${this.#table} has is not known: system.tables does not show it.`;
      yield { name, result: 'warning', detail };
    } else if (!isMergeTree(found)) {
      const detail = `${this.#table} has the engine ${found.name}, which may store a repeated insert twice: expected one of the MergeTree family.`;
      yield { name, result: 'warning', detail };
    } else if (!insert.deduplicate) {
      const detail = 'Inserts are not named (deduplicate=false): repeated ones are stored twice.';
      yield { name, result: 'warning', detail };
    } else if (found.deduplicationWindow === undefined || found.deduplicationWindow > 0) {
      const window = found.deduplicationWindow ?? 'some';
      yield ok(
        name,
        `${found.name} remembers the last ${window} inserts, and drops repeated ones.`,
      );
    } else {
      yield {
        name,
        result: 'warning',
        detail: `${this.#table} (${found.name}) remembers no inserts: a repeated one is stored twice.`,
        fix: deduplicationStatement(target, found.windowSetting),
      };
    }
  }

  async *#checkMessages(
    columns: readonly TableColumn[],
    version: ServerVersion,
  ): AsyncGenerator<CheckStep> {
    const { format, column } = this.#config;
    const chosen = format === 'auto' ? formatByTable(columns, column) : format;
    if (chosen === 'text') {
      yield this.#checkTextColumn(columns);
      return;
    }
    if (this.#sample.length === 0) {
      yield ok('columns', 'Messages are taken for JSON objects; there are none yet to look at.');
      return;
    }
    if (format === 'auto' && areAllStrangers(this.#sample)) {
      const detail = `The messages are no JSON objects, but ${this.#table} has other columns than ${column}.`;
      yield { name: 'columns', result: 'failed', detail, fix: '--set format=text' };
      return;
    }
    const unknown = this.#checkUnknownFields(columns);
    yield unknown;
    if (unknown.result !== 'failed') yield await this.#trySample(columns, version);
  }

  #checkTextColumn(columns: readonly TableColumn[]): CheckStep {
    const { target, column } = this.#config;
    if (columns.some(({ name }) => name === column))
      return ok('columns', `Messages are taken for text, and go into the column ${column}.`);
    return {
      name: 'columns',
      result: 'failed',
      detail: `${this.#table} has no column ${column} for text.`,
      fix: addColumnsStatement(target, [{ name: column, type: 'String' }]),
    };
  }

  #checkUnknownFields(columns: readonly TableColumn[]): CheckStep {
    const { target, idColumn, insert } = this.#config;
    const known = new Set(columns.map(({ name }) => name));
    const objects = parseObjects(this.#sample);
    const missing = inferColumns(objects, idColumn).filter(({ name }) => !known.has(name));
    if (missing.length === 0)
      return ok('columns', `All keys of ${objects.length} messages have a column.`);
    const names = missing.map(({ name }) => name).join(', ');
    const becomes = {
      stop: 'nothing is inserted',
      dead_letter: 'such messages are set aside',
      skip: 'these keys are left out',
    };
    return {
      name: 'columns',
      result: insert.unknownFields === 'stop' ? 'failed' : 'warning',
      detail: `${this.#table} has no column for ${names}: ${becomes[insert.unknownFields]} (unknown_fields=${insert.unknownFields}).`,
      fix: addColumnsStatement(target, missing),
    };
  }

  /** Has the server read the sample as rows of the table, without storing them. */
  async #trySample(columns: readonly TableColumn[], version: ServerVersion): Promise<CheckStep> {
    const name = 'sample';
    if (!version.isAtLeast(22, 9))
      return ok(name, 'The values were not tried: the server is older than 22.9.');
    const structure = columns
      .filter(({ defaultKind }) => defaultKind !== 'MATERIALIZED' && defaultKind !== 'ALIAS')
      .map((column) => `${quoteName(column.name)} ${column.type}`)
      .join(', ');
    const { input_format_skip_unknown_fields: skip = 0 } = insertSettings(
      this.#config.insert,
      { messageCount: 1, token: '', ordered: true },
      version,
    );
    const sample = Buffer.from(this.#sample.buffer, this.#sample.byteOffset, this.#sample.length);
    const answer = await this.#ask(
      `SELECT sum(ignore(*)) FROM format(JSONEachRow, ${quoteText(structure)}, ${quoteText(sample.toString())})`,
      { input_format_skip_unknown_fields: skip, date_time_input_format: 'best_effort' },
    );
    if (typeof answer === 'string') return ok(name, 'The server can read the messages.');
    if (unknownFieldOf(answer) !== undefined || !(answer instanceof ServerError))
      return { ...this.#failed(name, answer), result: 'warning' };
    const detail = `Some messages would be set aside: ${answer.message}`;
    return { name, result: 'warning', detail };
  }

  /** The answer, or the error. */
  #ask(
    statement: string,
    settings: Readonly<Record<string, string | number>> = {},
  ): Promise<unknown> {
    return this.#engine.query(statement, this.#signal, settings).catch((error: unknown) => error);
  }

  #failed(name: string, error: unknown): CheckStep {
    return failed(
      name,
      toPluginError(error, this.#engine.label, (refusal) =>
        findFix(refusal, this.#config, this.#sample),
      ),
    );
  }
}

function isVersion(value: unknown): value is ServerVersion {
  return typeof value === 'object' && value !== null && 'isAtLeast' in value;
}

function ok(name: string, detail: string): CheckStep {
  return { name, result: 'ok', detail };
}

function failed(name: string, error: unknown): CheckStep {
  return { name, result: 'failed', detail: error instanceof Error ? error.message : String(error) };
}
