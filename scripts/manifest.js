// Writes the list of commands that oclif reads instead of every command's module, or removes it. It is in published
// packages and in a checkout after `npm run build`; bin/run.js removes one that is older than what was compiled, because it
// would hide what is new.
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Plugin } from '@oclif/core';

const [verb, directory = join(import.meta.dirname, '..')] = process.argv.slice(2);
const root = resolve(directory);
const path = join(root, 'oclif.manifest.json');

if (verb === 'write') {
  // What the environment says would become a default in the list.
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('CHUKCHA_')) delete process.env[name];
  }
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
  console.error(
    'Say what to do: node scripts/manifest.js write|remove [DIRECTORY OF THE PACKAGE].',
  );
  process.exit(2);
}
