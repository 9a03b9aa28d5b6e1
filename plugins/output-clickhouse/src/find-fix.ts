import { isOfCredentials, isOfView, unknownFieldOf } from './classify-error.js';
import { inferColumns, parseObjects } from './infer-columns.js';
import { formatByMessages } from './message-format.js';
import type { OutputConfig } from './output-config.js';
import { quoteName, quoteTable } from './quoting.js';
import type { ServerError } from './server-error.js';
import { addColumnsStatement, createTableStatement } from './table-statements.js';

/** How many bytes of a batch a new table is made by. */
const sampleBytesMax = 64 * 1024;

/** What mends an error, as the sentence that follows it; made by the messages that were to be inserted. */
export function findFix(
  error: ServerError,
  config: OutputConfig,
  messages: Uint8Array,
): string | undefined {
  const { target, user, column } = config;
  if (isOfCredentials(error)) {
    return `Expected the right user and password: set CLICKHOUSE_USER and CLICKHOUSE_PASSWORD, or the options user and password (user is ${JSON.stringify(user)}).`;
  }
  if (isOfView(error))
    return 'The rows may be in the table already: mend the view, and the insert is repeated.';
  const field = unknownFieldOf(error);
  if (field !== undefined) {
    return `Add the column: ${fixUnknownField(config, field, messages)}; or use unknown_fields=skip or dead_letter.`;
  }
  switch (error.code) {
    case 16:
      return `Add the column: ${addColumnsStatement(target, [{ name: column, type: 'String' }])}; or name another by the option column.`;
    case 60:
      return `Create the table: ${fixMissingTable(config, messages)}; or use create_table=true.`;
    case 81:
      return `Create the database: CREATE DATABASE ${quoteName(target.database)}; or name another one.`;
    case 115:
      return 'The server is too old for what was asked (deduplication needs 22.2, async_insert 21.11), or the option settings has a name that it does not know: update it, or set deduplicate=false.';
    case 243:
      return 'Make room on the disk of the server.';
    case 497:
    case 291:
      return `Grant the right: GRANT INSERT ON ${quoteTable(target)} TO ${quoteName(user)}.`;
    default:
      return undefined;
  }
}

/** The statement that creates the table for these messages; a sentence when they do not say how. */
export function fixMissingTable(config: OutputConfig, messages: Uint8Array): string {
  const statement = createTableFor(config, firstMessages(messages), true);
  return statement ?? 'CREATE TABLE with a column for each key of the messages';
}

/** The statement for a new table. Undefined when the messages do not say which columns it has. */
export function createTableFor(
  config: OutputConfig,
  sample: Uint8Array,
  isModern: boolean,
): string | undefined {
  const { target, column, idColumn } = config;
  const format = config.format === 'auto' ? formatByMessages(sample) : config.format;
  if (format === undefined || (sample.length === 0 && format === 'json')) return undefined;
  return createTableStatement({ target, format, column, idColumn, sample, isModern });
}

/** The whole messages at the start, for looking at. */
export function firstMessages(messages: Uint8Array): Uint8Array {
  if (messages.length <= sampleBytesMax) return messages;
  const end = messages.lastIndexOf(0x0a, sampleBytesMax - 1) + 1;
  return messages.subarray(0, end === 0 ? messages.indexOf(0x0a) + 1 : end);
}

function fixUnknownField(config: OutputConfig, name: string, messages: Uint8Array): string {
  const objects = parseObjects(messageWithKey(messages, name));
  const column = inferColumns(objects, config.idColumn).find((inferred) => inferred.name === name);
  return addColumnsStatement(config.target, [column ?? { name, type: 'String' }]);
}

/** The first message that has these letters as a key or a text; the type of a column is a proposal anyway. */
function messageWithKey(messages: Uint8Array, name: string): Uint8Array {
  const view = Buffer.from(messages.buffer, messages.byteOffset, messages.byteLength);
  const at = view.indexOf(JSON.stringify(name));
  if (at === -1) return firstMessages(messages);
  const end = view.indexOf(0x0a, at);
  const start = at === 0 ? 0 : view.lastIndexOf(0x0a, at) + 1;
  return view.subarray(start, end === -1 ? view.length : end + 1);
}
