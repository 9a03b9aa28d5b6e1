import { PluginError, type PluginLog } from '@chukcha/plugin-api';
import type { ClickHouseEngine } from './clickhouse-engine.js';
import { createTableFor, firstMessages, fixMissingTable } from './find-fix.js';
import { formatByMessages, formatByTable, type MessageFormat } from './message-format.js';
import type { OutputConfig } from './output-config.js';
import { quoteTable } from './quoting.js';
import { ServerError } from './server-error.js';
import { ServerVersion } from './server-version.js';
import { isMergeTree, readColumns, readTableEngine, type TableColumn } from './table-facts.js';
import { deduplicationStatement } from './table-statements.js';

/** What has to be known before messages are inserted. */
export interface PreparedTable {
  readonly version: ServerVersion;
  readonly format: MessageFormat;
}

const unknownTable = 60;
const accessDenied = 497;

/**
 * Asks what the server and the table are, and creates a missing table where that is wanted. Throws what the engine throws,
 * and a `PluginError` of kind `operator` for what cannot go together.
 */
export async function prepareTable(
  engine: ClickHouseEngine,
  config: OutputConfig,
  messages: Uint8Array,
  log: PluginLog,
  signal: AbortSignal,
): Promise<PreparedTable> {
  const version = await readVersion(engine, signal);
  const columns = await readOrCreate(engine, config, messages, version, log, signal);
  const format = chooseFormat(config, columns, messages);
  if (format === 'text' && !version.isAtLeast(20, 12)) {
    throw new PluginError(
      'operator',
      `${engine.label} is version ${version.text}, which cannot read lines of text: expected 20.12 or later, or messages that are JSON objects (format=json).`,
    );
  }
  return { version, format };
}

export async function readVersion(
  engine: ClickHouseEngine,
  signal: AbortSignal,
): Promise<ServerVersion> {
  const text = await engine.query('SELECT version()', signal);
  const version = ServerVersion.parse(text);
  if (version !== undefined) return version;
  const shown = JSON.stringify(text.trim().slice(0, 60));
  throw new PluginError(
    'operator',
    `${engine.label} answers SELECT version() with ${shown}: expected a version such as 26.7.2.1. Look at the host and the port (8123, or 8443 with tls).`,
  );
}

/** Says when a repeated insert would be stored twice. */
export async function warnOfRepetitions(
  engine: ClickHouseEngine,
  config: OutputConfig,
  log: PluginLog,
  signal: AbortSignal,
): Promise<void> {
  const { target } = config;
  const found = await readTableEngine(engine, target, signal).catch(() => undefined);
  // Nothing is known about it: `check` says more.
  if (found === undefined) return;
  const table = quoteTable(target);
  if (!isMergeTree(found)) {
    log.warn('The table does not drop repeated inserts, because of its engine.', {
      table,
      engine: found.name,
    });
  } else if (found.deduplicationWindow === 0) {
    const fix = deduplicationStatement(target, found.windowSetting);
    log.warn('The table does not drop repeated inserts.', { table, fix });
  }
}

async function readOrCreate(
  engine: ClickHouseEngine,
  config: OutputConfig,
  messages: Uint8Array,
  version: ServerVersion,
  log: PluginLog,
  signal: AbortSignal,
): Promise<readonly TableColumn[] | undefined> {
  try {
    return await readColumns(engine, config.target, signal);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    // Who may only insert is not told: the messages say what they are then.
    if (error.code === accessDenied) return undefined;
    if (error.code !== unknownTable || !config.createTable) throw error;
  }
  const statement = createTableFor(config, firstMessages(messages), version.isAtLeast(21, 1));
  if (statement === undefined) {
    throw new PluginError(
      'operator',
      `The table ${quoteTable(config.target)} cannot be created, because the first messages do not say what it is like: expected JSON objects only, or text only. Set format to json or text, or create it: ${fixMissingTable(config, messages)}.`,
    );
  }
  await engine.query(statement, signal);
  log.info('The table was created.', { statement });
  return readColumns(engine, config.target, signal);
}

function chooseFormat(
  { format, column }: OutputConfig,
  columns: readonly TableColumn[] | undefined,
  messages: Uint8Array,
): MessageFormat {
  if (format !== 'auto') return format;
  if (columns !== undefined) return formatByTable(columns, column);
  // The first byte alone, so that it is the same whatever comes with it.
  return formatByMessages(messages.subarray(0, messages.indexOf(0x0a) + 1)) ?? 'json';
}
