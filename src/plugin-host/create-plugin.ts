import { cp, readdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { PluginDescriptor } from '@chukcha/plugin-api';
import { makeDirectory } from '../common/make-directory.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { pluginNamePattern } from './plugin-registry.js';

export interface NewPlugin {
  readonly kind: PluginDescriptor['kind'];
  readonly name: string;
  /** Where to make the package; a directory that is not there yet, or is empty. */
  readonly directory: string;
  /** Where the templates of this installation are. */
  readonly templates: string;
}

/**
 * Makes a plugin package that works, with a test that passes; resolves with the names of its files. Throws
 * `invalid_option` for a name that no plugin may have, and for a directory that has something in it.
 */
export async function createPlugin(plugin: NewPlugin): Promise<string[]> {
  const { kind, name, templates } = plugin;
  const directory = resolve(plugin.directory);
  if (!pluginNamePattern.test(name)) {
    throw new ChukchaError(
      'invalid_option',
      `${JSON.stringify(name)} cannot be the name of a plugin: expected small letters, digits and hyphens, with a letter first, such as daily-files.`,
    );
  }
  const present = await readdir(directory).catch(() => []);
  if (present.length > 0) {
    throw new ChukchaError(
      'invalid_option',
      `Directory ${directory} has something in it (${present[0]}): choose another one with --directory.`,
    );
  }
  try {
    await makeDirectory(directory);
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `Directory ${directory} cannot be made (${errorMessage(cause)}): choose one that this user may write to with --directory.`,
      { cause },
    );
  }
  await cp(join(templates, kind), directory, { recursive: true });
  const words: Readonly<Record<string, string>> = {
    __name__: name,
    __package__: pluginPackageName(kind, name),
    __pluginApi__: await pluginApiSpec(directory),
  };
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths: string[] = [];
  for (const file of files) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name);
    const text = await readFile(path, 'utf8');
    await writeFile(path, fill(text, words));
    paths.push(relative(directory, path));
  }
  return paths.sort();
}

/** What a package with this plugin is called when nobody says otherwise. */
export function pluginPackageName(kind: PluginDescriptor['kind'], name: string): string {
  return `chukcha-${kind}-${name}`;
}

function fill(text: string, words: Readonly<Record<string, string>>): string {
  return Object.entries(words).reduce((all, [word, value]) => all.replaceAll(word, value), text);
}

/**
 * The dependency on the contract: the version that this installation has; its directory when the command line runs
 * from a checkout, whose contract may be newer than what is published.
 */
async function pluginApiSpec(directory: string): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('@chukcha/plugin-api/package.json');
  const root = dirname(await realpath(manifest));
  if (!root.split(sep).includes('node_modules')) {
    return `file:${relative(await realpath(directory), root)}`;
  }
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  return `^${version}`;
}
