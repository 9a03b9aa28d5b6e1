import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';

/**
 * Reads a configuration file: YAML, which JSON is a part of, with options at the top by their names. Options
 * that were given as flags or in the environment go before those of the file.
 *
 * Throws `invalid_option` for a file that cannot be read or is no such list. The options themselves are checked
 * where all options are.
 */
export async function withConfigFile(
  path: string | undefined,
  given: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const options = path === undefined ? {} : await readOptions(path);
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) options[name] = value;
  }
  return options;
}

async function readOptions(path: string): Promise<Record<string, unknown>> {
  let content: unknown;
  try {
    content = parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `Configuration file ${path} cannot be read (${errorMessage(cause).split('\n')[0]}): expected YAML, or name another file with --config.`,
      { cause },
    );
  }
  // A file with nothing but comments asks for nothing.
  if (content === null || content === undefined) return {};
  if (typeof content === 'object' && !Array.isArray(content)) return { ...content };
  throw new ChukchaError(
    'invalid_option',
    `Configuration file ${path} has no options: expected lines such as "listen: 127.0.0.1:8080".`,
  );
}
