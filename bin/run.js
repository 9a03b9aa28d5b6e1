#!/usr/bin/env node
// The entry for users. `--version` is answered without loading the command line's framework, which
// takes more than twice as long to load as Node itself.
const words = process.argv.slice(2);
if (words.length === 1 && (words[0] === '--version' || words[0] === '-v')) {
  const { readFileSync } = await import('node:fs');
  const { name, version } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  const { run } = await import('@oclif/core/run');
  const { flush } = await import('@oclif/core/flush');
  const { handle } = await import('@oclif/core/handle');
  const { settings } = await import('@oclif/core/settings');
  await removeOldManifest();
  // Plugins are run as they were built; without this a linked one prints a warning on every run.
  settings.enableAutoTranspile = false;
  await run(words, import.meta.url).then(() => flush(), handle);
}

/**
 * The list of commands spares loading every command for one of them; `npm run build` makes it. In a checkout that was
 * compiled after that it would hide what is new. A published package has no notes of the compiler, and its list stays.
 */
async function removeOldManifest() {
  const { rmSync, statSync } = await import('node:fs');
  const fileTime = (name) =>
    statSync(new URL(`../${name}`, import.meta.url), { throwIfNoEntry: false })?.mtimeMs;
  const madeAt = fileTime('oclif.manifest.json');
  const compiledAt = fileTime('build/.tsbuildinfo');
  if (madeAt === undefined || compiledAt === undefined || madeAt >= compiledAt) return;
  rmSync(new URL('../oclif.manifest.json', import.meta.url), { force: true });
}
