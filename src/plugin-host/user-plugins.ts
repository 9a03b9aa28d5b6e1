import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeDirectory } from '../common/make-directory.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { loadPackagePlugins } from './package-plugins.js';
import type { FoundPlugin } from './plugin-registry.js';

/** A package that the user added, in the words of oclif's list. */
export interface UserPackage {
  readonly name: string;
  /** `link`: a directory somewhere, used where it stands; `user`: installed by npm into the data directory. */
  readonly type: 'link' | 'user';
  /** Where a linked package stands. */
  readonly root?: string;
}

/** A package that was added, and what it brings. */
export interface AddedPackage {
  readonly name: string;
  readonly root: string;
  readonly plugins: readonly FoundPlugin[];
}

/** The part of a data directory's `package.json` that is read here; everything else in it is kept. */
interface DataManifest {
  dependencies?: Record<string, string>;
  oclif?: { schema?: number; plugins?: UserPackage[] };
  [key: string]: unknown;
}

/** How long npm may take: what it downloads is small, but networks and registries are slow at times. */
const npmMsMax = 10 * 60_000;

/** How much of what npm says about a failure is shown: the end, where npm puts the reason. */
const npmWordsMax = 2_000;

/**
 * The plugin packages that a user adds to the installation. They are kept in oclif's data directory in the form in
 * which oclif looks for them at every start: a `package.json` with a list, and a `node_modules` beside it.
 */
export class UserPlugins {
  readonly #directory: string;

  /** @param dataDirectory oclif's `config.dataDir` */
  constructor(dataDirectory: string) {
    this.#directory = dataDirectory;
  }

  /** By name. Throws `directory_invalid` when the list cannot be read. */
  async list(): Promise<UserPackage[]> {
    const packages = (await this.#read()).oclif?.plugins ?? [];
    return [...packages].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Uses the package in a directory where it stands. Throws `plugin_invalid` when it brings no plugin that works. */
  async link(directory: string): Promise<AddedPackage> {
    const added = await loadPackagePlugins(resolve(directory));
    await this.#record({ name: added.name, type: 'link', root: added.root });
    return added;
  }

  /**
   * Installs a package by npm: a name, `name@version`, an archive, a directory, or an address that npm takes. Scripts
   * of packages do not run unless `runScripts` is set. What brings no plugin that works is taken away again, and
   * `plugin_invalid` is thrown; `plugin_install_failed` when npm cannot do it.
   */
  async install(spec: string, { runScripts = false } = {}): Promise<AddedPackage> {
    const before = (await this.#read()).dependencies ?? {};
    await this.#prepare();
    await this.#npm([
      'install',
      ...(runScripts ? [] : ['--ignore-scripts']),
      '--install-links',
      '--save',
      '--omit=dev',
      absoluteSpec(spec),
    ]);
    const name = installedName(spec, before, (await this.#read()).dependencies ?? {});
    try {
      const added = await loadPackagePlugins(join(this.#directory, 'node_modules', name));
      await this.#record({ name, type: 'user' });
      return added;
    } catch (error) {
      if (!(name in before)) await this.#npm(['uninstall', name]);
      throw error;
    }
  }

  /** Takes a package away; a linked one stays where it stands. False when it was not added by the user. */
  async remove(name: string): Promise<boolean> {
    const found = (await this.list()).find((each) => each.name === name);
    if (found === undefined) return false;
    await this.#change((packages) => packages.filter((each) => each.name !== name));
    if (found.type === 'user') await this.#npm(['uninstall', name]);
    return true;
  }

  async #record(added: UserPackage): Promise<void> {
    await this.#change((packages) => [
      ...packages.filter(({ name }) => name !== added.name),
      added,
    ]);
  }

  async #change(change: (packages: readonly UserPackage[]) => UserPackage[]): Promise<void> {
    const manifest = await this.#read();
    const plugins = change(manifest.oclif?.plugins ?? []);
    await this.#write({ ...manifest, oclif: { schema: 1, ...manifest.oclif, plugins } });
  }

  /** npm installs beside the nearest `package.json`, so there has to be one. */
  async #prepare(): Promise<void> {
    await this.#change((packages) => [...packages]);
  }

  async #read(): Promise<DataManifest> {
    const path = join(this.#directory, 'package.json');
    try {
      return JSON.parse(await readFile(path, 'utf8')) as DataManifest;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { private: true };
      throw new ChukchaError(
        'directory_invalid',
        `The list of added plugins ${path} cannot be read (${errorMessage(error)}): mend it, or remove it and add the plugins again.`,
        { cause: error },
      );
    }
  }

  async #write(manifest: DataManifest): Promise<void> {
    await makeDirectory(this.#directory);
    const path = join(this.#directory, 'package.json');
    await writeFile(`${path}.new`, `${JSON.stringify(manifest, null, 2)}\n`);
    await rename(`${path}.new`, path);
  }

  async #npm(words: readonly string[]): Promise<void> {
    const child = spawn(
      'npm',
      [...words, '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'],
      {
        cwd: this.#directory,
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: npmMsMax,
      },
    );
    let said = '';
    child.stderr.on('data', (piece: Buffer) => {
      said = (said + piece.toString()).slice(-npmWordsMax);
    });
    const problem = await new Promise<string | undefined>((settle) => {
      child.once('error', (error) => settle(`npm could not be started: ${error.message}`));
      child.once('close', (code) => {
        settle(code === 0 ? undefined : `npm ended with ${code}: ${said.trim()}`);
      });
    });
    if (problem === undefined) return;
    throw new ChukchaError(
      'plugin_install_failed',
      `\`npm ${words[0]} ${words.at(-1)}\` failed in ${this.#directory}. ${problem}`,
    );
  }
}

/** npm would look for a relative path in the data directory. */
function absoluteSpec(spec: string): string {
  const path = spec.startsWith('file:') ? spec.slice('file:'.length) : spec;
  const isPath =
    /^\.{0,2}\//.test(path) || path !== spec || (/\.t?gz$/.test(path) && existsSync(path));
  return isPath ? resolve(path) : spec;
}

/** What npm calls the package that it was asked for: the dependency that is new or different, else the one named so. */
function installedName(
  spec: string,
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): string {
  const changed = Object.keys(after).find((name) => after[name] !== before[name]);
  const named = /^(@[^/]+\/)?[^@/]+/.exec(spec)?.[0] ?? '';
  const found = changed ?? Object.keys(after).find((name) => name === named);
  if (found !== undefined) return found;
  const path = absoluteSpec(spec);
  const byPath = Object.keys(after).find((name) =>
    after[name]?.endsWith(path.split('/').at(-1) ?? path),
  );
  if (byPath !== undefined) return byPath;
  throw new ChukchaError(
    'plugin_install_failed',
    `npm installed ${spec}, but it cannot be told under which name: look into package.json of the data directory.`,
  );
}
