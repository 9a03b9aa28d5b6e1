import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Config } from '@oclif/core';
import { type FoundPlugin, PluginRegistry } from '../../src/plugin-host/plugin-registry.js';
import { commandsPage, type DescribedCommand } from './commands-page.js';
import { configPage } from './config-page.js';
import { errorsPage } from './errors-page.js';
import { libraryPage } from './library-page.js';
import { limitsPage } from './limits-page.js';
import { pluginsPage } from './plugins-page.js';
import { SourceModel } from './source-model.js';

/**
 * The pages of `docs/reference` by their names, as the sources give them: the same on every machine.
 *
 * @param root the directory of the project, which is built
 */
export async function referencePages(root: string): Promise<ReadonlyMap<string, string>> {
  const config = await loadConfig(root);
  const { plugins, problems } = await PluginRegistry.find(config);
  if (problems.length > 0) throw new Error(problems.join(' '));
  const model = new SourceModel(root);
  try {
    return new Map([
      ['commands.md', commandsPage(await describeCommands(config))],
      ['config.md', configPage()],
      ['plugins.md', pluginsPage(plugins, addressForms(root, model, plugins))],
      ['errors.md', errorsPage()],
      ['limits.md', limitsPage(model)],
      ['library.md', libraryPage(model)],
    ]);
  } finally {
    model.close();
  }
}

/** Without what the user of this machine has added or set. */
async function loadConfig(root: string): Promise<Config> {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('CHUKCHA_')) delete process.env[name];
  }
  // oclif would go by an old list of commands, whatever `ignoreManifest` says: that is for plugins only.
  rmSync(join(root, 'oclif.manifest.json'), { force: true });
  const config = new Config({ root, userPlugins: false, devPlugins: false, ignoreManifest: true });
  await config.load();
  return config;
}

/** In the order of their words, each once: oclif lists aliases as commands too. */
async function describeCommands(config: Config): Promise<DescribedCommand[]> {
  const aliases = new Set(config.commands.flatMap((command) => command.aliases));
  const commands = config.commands.filter(({ id, hidden }) => !aliases.has(id) && hidden !== true);
  commands.sort((left, right) => (left.id < right.id ? -1 : 1));
  return Promise.all(
    commands.map(async (command) => {
      // A command that declares none has no such property, whatever its type says.
      const { flags = {} } = (await command.load()) as Partial<Command.Class>;
      const flagRanges = new Map(
        Object.entries(flags).map(([name, flag]) => {
          const { min, max } = flag as { readonly min?: number; readonly max?: number };
          return [
            name,
            { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) },
          ];
        }),
      );
      return { command, flagRanges };
    }),
  );
}

/** The forms of an address stand in the comment above a descriptor, as `--from file:/var/log/app.log`. */
function addressForms(
  root: string,
  model: SourceModel,
  plugins: readonly FoundPlugin[],
): Map<string, string[]> {
  const forms = new Map<string, string[]>();
  for (const { descriptor, packageName } of plugins) {
    const path = `plugins/${packageName.split('/').at(-1)}/src/index.ts`;
    if (!existsSync(join(root, path))) throw new Error(`${packageName} has no ${path}.`);
    const comments = model.exportsOf(path).map(({ comment }) => comment.text);
    const found = comments
      .flatMap((text) => [...text.matchAll(/`(--(?:from|to) ([a-z0-9-]+)[^`]*)`/g)])
      .flatMap(([, form = '', name]) => (name === descriptor.name ? [form] : []));
    if (found.length > 0) forms.set(`${descriptor.kind} ${descriptor.name}`, found);
  }
  return forms;
}
