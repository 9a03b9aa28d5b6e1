// Writes the list of commands that oclif reads instead of every command's module, or removes it. It is in the published
// package only: one that is older than the commands hides those that are new.
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Plugin } from '@oclif/core';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const path = join(root, 'oclif.manifest.json');
const [verb] = process.argv.slice(2);

if (verb === 'write') {
  const plugin = new Plugin({
    root,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
  });
  await plugin.load();
  writeFileSync(path, JSON.stringify(plugin.manifest));
} else if (verb === 'remove') {
  rmSync(path, { force: true });
} else {
  console.error('Say what to do: node scripts/manifest.js write|remove.');
  process.exit(2);
}
