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
  // Plugins are run as they were built; without this a linked one prints a warning on every run.
  settings.enableAutoTranspile = false;
  await run(words, import.meta.url).then(() => flush(), handle);
}
