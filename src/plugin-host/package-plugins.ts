import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { type FoundPlugin, PluginRegistry, pluginsHook } from './plugin-registry.js';

interface PackageManifest {
  readonly name?: string;
  readonly oclif?: { readonly hooks?: Readonly<Record<string, string | readonly string[]>> };
}

/**
 * The plugins that the package in a directory brings, found as every start will find them, so that one that does not
 * work is told when it is added and not later. Throws `plugin_invalid`.
 */
export async function loadPackagePlugins(
  directory: string,
): Promise<{ name: string; root: string; plugins: readonly FoundPlugin[] }> {
  const { name, oclif } = await readManifest(directory);
  const hook = oclif?.hooks?.[pluginsHook];
  if (name === undefined || hook === undefined) {
    throw invalid(
      `${directory} is no plugin of chukcha: its package.json needs a name and "oclif": { "hooks": { "${pluginsHook}": "./hook.js" } }.`,
    );
  }
  const root = await realpath(directory);
  const { plugins, problems } = await PluginRegistry.find({
    runHook: () => runHooks(name, root, [hook].flat()),
  });
  const [problem] = problems;
  if (problem !== undefined) throw invalid(problem);
  if (plugins.length === 0) {
    throw invalid(`Plugin package ${name} brings no plugin: its hook has to return a descriptor.`);
  }
  return { name, root, plugins };
}

async function readManifest(directory: string): Promise<PackageManifest> {
  const path = join(directory, 'package.json');
  try {
    return JSON.parse(await readFile(path, 'utf8')) as PackageManifest;
  } catch (cause) {
    throw invalid(
      `${directory} is no plugin of chukcha: its package.json cannot be read (${errorMessage(cause)}). \`chukcha plugins create\` makes one that works.`,
      cause,
    );
  }
}

async function runHooks(name: string, root: string, hooks: readonly string[]) {
  const plugin = { name };
  const results = await Promise.allSettled(
    hooks.map(async (hook) => {
      const module = await import(pathToFileURL(join(root, hook)).href);
      return (module as { default: () => Promise<unknown> }).default();
    }),
  );
  return {
    successes: results.flatMap((each) =>
      each.status === 'fulfilled' ? [{ result: each.value, plugin }] : [],
    ),
    failures: results.flatMap((each) =>
      each.status === 'rejected' ? [{ error: new Error(errorMessage(each.reason)), plugin }] : [],
    ),
  };
}

function invalid(sentence: string, cause?: unknown): ChukchaError {
  return new ChukchaError('plugin_invalid', sentence, cause === undefined ? {} : { cause });
}
