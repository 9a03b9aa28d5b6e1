import { constants } from 'node:fs';
import { access, lstat, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { PluginError } from '@chukcha/plugin-api';
import { type Glob, literalGlob, parseGlob } from './glob.js';

/** One entry of the option `paths`, and what it stands for. */
export interface SourcePath {
  readonly text: string;
  readonly globs: readonly Glob[];
}

/**
 * Reads the option `paths`. A path without glob characters, or with some that a file really has in its
 * name, must lead to a file that can be read; else a `PluginError` of kind `operator` says what is wrong.
 */
export async function resolveSourcePath(text: string, directory: string): Promise<SourcePath> {
  const path = resolve(directory, text);
  const globs = parseSource(text, directory);
  const isPath = globs.length === 1 && globs[0]?.isLiteral === true;
  if (!isPath && !(await exists(path))) return { text, globs };
  const literal = isPath ? globs : [literalGlob(path)];
  await checkFile(literal[0]?.toPath() ?? path);
  return { text, globs: literal };
}

function parseSource(text: string, directory: string): Glob[] {
  try {
    return parseGlob(text, directory);
  } catch (cause) {
    const message = `The glob ${JSON.stringify(text)} cannot be read: ${(cause as Error).message}`;
    throw new PluginError('operator', message, { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function checkFile(path: string): Promise<void> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw notAFile(path, stats.isDirectory());
    await access(path, constants.R_OK);
  } catch (thrown) {
    if (thrown instanceof PluginError) throw thrown;
    const message = fileErrorText(path, thrown as NodeJS.ErrnoException);
    throw new PluginError('operator', message, { cause: thrown });
  }
}

function notAFile(path: string, isDirectory: boolean): PluginError {
  return new PluginError(
    'operator',
    isDirectory
      ? `${path} is a directory, and a file was expected: name the files in it, for example file:${path}/*.log.`
      : `${path} is not a regular file: read it with another program, and pipe that into the input stdin.`,
  );
}

function fileErrorText(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `The file ${path} does not exist: check the path, or name a glob to wait for files, for example file:${path}*.`;
    case 'EACCES':
    case 'EPERM':
      return `The file ${path} may not be read by this user: change its permissions, or run as a user who may read it.`;
    default:
      return `The file ${path} cannot be opened (${error.message}): expected a file that can be read.`;
  }
}
