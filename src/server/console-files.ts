import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of the console, as it is sent. */
export interface ConsoleFile {
  readonly contentType: string;
  readonly bytes: Buffer;
  /** Names the content, for `ETag`. */
  readonly tag: string;
}

/** The name of the page itself. */
export const consolePageName = 'index.html';

/** Where the page and its styles are: they need no compiler, and are published as they stand in the sources. */
const staticDirectory = join(import.meta.dirname, '..', '..', '..', 'src', 'server', 'console');

/** Where the compiler puts the page's modules. */
const moduleDirectory = join(import.meta.dirname, 'console');

const contentTypes: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  js: 'text/javascript; charset=utf-8',
};

/** Characters of six bits each: 132 bits are more than enough to tell versions of a file apart. */
const tagLength = 22;

let loading: Promise<ReadonlyMap<string, ConsoleFile>> | undefined;

/**
 * All files of the console, by name. They are read once, when somebody asks first, and held in memory (some 100 KiB); a
 * request only ever picks one by its exact name, so no path of a request reaches the disk.
 *
 * Rejects with the error of the file system when the installation is not whole; the next call tries again.
 */
export function consoleFiles(): Promise<ReadonlyMap<string, ConsoleFile>> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<ReadonlyMap<string, ConsoleFile>> {
  const found = [
    ...(await list(staticDirectory, ['html', 'css', 'svg'])),
    ...(await list(moduleDirectory, ['js'])),
  ];
  const files = found.map(async ({ name, path, suffix }) => {
    const bytes = await readFile(path);
    const tag = createHash('sha256').update(bytes).digest('base64url').slice(0, tagLength);
    return [name, { contentType: contentTypes[suffix] ?? '', bytes, tag }] as const;
  });
  return new Map(await Promise.all(files));
}

async function list(
  directory: string,
  suffixes: readonly string[],
): Promise<{ name: string; path: string; suffix: string }[]> {
  const names = await readdir(directory);
  return names.flatMap((name) => {
    const suffix = name.slice(name.lastIndexOf('.') + 1);
    return suffixes.includes(suffix) ? [{ name, path: join(directory, name), suffix }] : [];
  });
}
