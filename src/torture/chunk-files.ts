import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeProcess } from '../processes/node-process.js';

/** The files of chunks that one node has: by category and name, their sizes and hashes. */
export type ChunkFiles = ReadonlyMap<string, { readonly size: number; readonly hash: string }>;

/** Reads them from the disk, as they are now. */
export async function readChunkFiles(
  { dataDirectory }: NodeProcess,
  categories: readonly string[],
): Promise<ChunkFiles> {
  const files = new Map<string, { size: number; hash: string }>();
  for (const category of categories) {
    const directory = join(dataDirectory, category);
    for (const name of await listOrNone(directory)) {
      const bytes = await readFile(join(directory, name)).catch(missing);
      if (bytes === undefined) continue;
      const hash = createHash('sha256').update(bytes).digest('hex');
      files.set(`${category}/${name}`, { size: bytes.length, hash });
    }
  }
  return files;
}

/** The names of the files of a node's categories, by category and name. */
export async function listChunkFiles(
  { dataDirectory }: NodeProcess,
  categories: readonly string[],
): Promise<string[]> {
  const lists = categories.map(async (category) =>
    (await listOrNone(join(dataDirectory, category))).map((name) => `${category}/${name}`),
  );
  return (await Promise.all(lists)).flat();
}

/** What a node has moved aside because it was damaged. */
export async function listQuarantine(
  { dataDirectory }: NodeProcess,
  categories: readonly string[],
): Promise<string[]> {
  const lists = categories.map((category) =>
    listOrNone(join(dataDirectory, '.quarantine', category)),
  );
  return (await Promise.all(lists)).flat();
}

/** Says where two nodes differ; `undefined` when they hold the same. */
export function findDifference(
  [leftName, left]: readonly [string, ChunkFiles],
  [rightName, right]: readonly [string, ChunkFiles],
): string | undefined {
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const [onLeft, onRight] = [left.get(name), right.get(name)];
    if (onLeft?.hash === onRight?.hash) continue;
    const size = (file: { size: number } | undefined): string =>
      file === undefined ? 'is not there' : `has ${file.size} bytes`;
    const bytes = onLeft?.size === onRight?.size ? ' and others' : '';
    return `${name} ${size(onLeft)} on ${leftName}, and ${size(onRight)}${bytes} on ${rightName}`;
  }
  return undefined;
}

/** Whether an error of the file system has this code. */
export function hasFileCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === code;
}

function listOrNone(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: unknown) => missing(error) ?? []);
}

/** What is not there, or not any more, is no failure. */
function missing(error: unknown): undefined {
  if (hasFileCode(error, 'ENOENT')) return undefined;
  throw error;
}
