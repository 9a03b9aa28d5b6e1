import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { toPluginError } from './classify-error.js';
import { EmbeddedEngine } from './embedded-engine.js';

/**
 * Runs one statement in the engine of a directory, and resolves with the answer in the format. Throws a `RangeError` for a
 * directory that no engine has written, and a `PluginError` for everything else.
 */
export async function queryDirectory(
  directory: string,
  statement: string,
  format: string,
): Promise<Uint8Array> {
  if (!existsSync(join(directory, 'store')) && !existsSync(join(directory, 'metadata'))) {
    throw new RangeError(
      `${directory} is not a directory of the embedded ClickHouse: expected one that sink --to clickhouse:DIRECTORY has written.`,
    );
  }
  const engine = await EmbeddedEngine.open(directory);
  try {
    return await engine.queryBytes(statement, format, new AbortController().signal);
  } catch (error) {
    throw toPluginError(error, engine.label, () => undefined);
  } finally {
    await engine.close();
  }
}
