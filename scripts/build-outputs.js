import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of the root package. */
export const rootDirectory = join(import.meta.dirname, '..');

/** The root package and every plugin: each compiles `src`, `test`, `bench` and `scripts` into its own `build`. */
export function packageDirectories() {
  const plugins = join(rootDirectory, 'plugins');
  return [rootDirectory, ...foldersOf(plugins).map((name) => join(plugins, name))];
}

/**
 * Makes `build/` say the same as the sources: the outputs of sources that are gone are removed, because
 * a test among them would still run. `tsc -b` trusts its own notes about what it emitted, so a package
 * that lacks an output loses its whole `build/` instead, and the next `tsc -b` makes it anew.
 *
 * @returns whether a `build/` was removed, so that a build is needed
 */
export function pruneBuildOutputs() {
  let removed = false;
  for (const directory of packageDirectories()) {
    const build = join(directory, 'build');
    if (!existsSync(build)) continue;
    for (const output of filesBelow(build)) {
      const stem = /^(.*?)(?:\.d\.ts|\.js)(?:\.map)?$/.exec(output)?.[1];
      if (stem !== undefined && !existsSync(join(directory, `${stem}.ts`)))
        rmSync(join(build, output));
    }
    const lost = sourcesOf(directory).some((stem) => !existsSync(join(build, `${stem}.js`)));
    if (!lost) continue;
    rmSync(build, { recursive: true, force: true });
    removed = true;
  }
  return removed;
}

/** The modules of the package's `src` that have code to run, as `src/a/b.ts`; those with types only have not. */
export function modulesWithCode(directory) {
  return sourcesOf(directory)
    .filter((stem) => stem.startsWith('src/'))
    .filter((stem) => hasCode(readFileSync(join(directory, 'build', `${stem}.js`), 'utf8')))
    .map((stem) => `${stem}.ts`);
}

function hasCode(text) {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return code.replace(/export \{[^}]*\}( from '[^']*')?;/g, '').trim() !== '';
}

/** Sources that `tsc` emits something for, without their suffix. */
function sourcesOf(directory) {
  return ['src', 'test', 'bench', 'scripts'].flatMap((folder) =>
    filesBelow(join(directory, folder))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => `${folder}/${name.slice(0, -'.ts'.length)}`),
  );
}

function filesBelow(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

function foldersOf(directory) {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}
