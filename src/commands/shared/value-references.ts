import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorMessage } from '../../protocol/chukcha-error.js';

/** Where references get their values from. */
export interface ReferenceSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What paths of files are relative to. */
  readonly directory: string;
}

/** `${NAME}`, `${NAME:-default}` or `${file:path}`; `$${` stands for `${`. */
const referencePattern = /\$\$\{|\$\{(?:file:([^}]*)|([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?)\}/g;

/** How much a referenced file may have, in characters: it is a password, not a document. */
const fileLengthMax = 64 * 1024;

/**
 * Puts the values of the environment and of files into a text. Only texts that a parsed file has as values come here,
 * so nothing that is put in can change what the file says otherwise. A file's last newline is left out. Throws an `Error`
 * whose sentence names what is not there.
 */
export function resolveReferences(text: string, sources: ReferenceSources): string {
  const resolved = text.replaceAll(
    referencePattern,
    (match, path?: string, name?: string, fallback?: string) => {
      if (match === '$${') return '${';
      if (path !== undefined) return readReferenced(path, sources.directory);
      const value = sources.environment[name ?? ''] ?? fallback;
      if (value !== undefined) return value;
      throw new Error(
        `The environment has no ${name}: set it, or give a default as in \${${name}:-value}.`,
      );
    },
  );
  return resolved;
}

function readReferenced(path: string, directory: string): string {
  const file = resolve(directory, path);
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`The file ${file} cannot be read (${errorMessage(cause)}).`, { cause });
  }
  if (content.length > fileLengthMax) {
    throw new Error(
      `The file ${file} has more than ${fileLengthMax} characters: expected a value.`,
    );
  }
  return content.replace(/\r?\n$/, '');
}
