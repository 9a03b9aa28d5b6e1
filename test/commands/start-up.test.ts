import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { importsOf } from '../support/import-rules.js';

const commands = join(import.meta.dirname, '..', '..', 'src', 'commands');

/** What may be loaded before it is known which command runs: in a checkout all of them are, for `--help` too. */
const light =
  /\/build\/src\/(commands|protocol|common\/(clock|logger|closest|quantity|random|printable|text-log-line|log-values|log-options-schema)\.js|(pipeline|node)\/[a-z-]+-schemas?\.js|node\/security-options\.js|plugin-host\/(describe-options|plugin-environment)\.js)/;

/** Everything that modules load as they are loaded themselves. */
function loadedBy(modules: readonly string[]): Map<string, string> {
  const reasons = new Map<string, string>();
  const open = [...modules];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const { specifier } of importsOf(
      readFileSync(path, 'utf8').replace(/await import\(/g, ''),
    )) {
      const target = specifier.startsWith('.') ? resolve(path, '..', specifier) : specifier;
      if (reasons.has(target)) continue;
      reasons.set(target, path);
      if (specifier.startsWith('.')) open.push(target);
    }
  }
  return reasons;
}

t.test('what a command needs to work is loaded when it runs, and not for its help', (t) => {
  const files = readdirSync(commands, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js') && !name.startsWith('shared'))
    .map((name) => join(commands, name));
  const loaded = loadedBy(files);
  const heavy = [...loaded].filter(
    ([target]) => !target.startsWith('node:') && target !== '@oclif/core' && !light.test(target),
  );
  t.ok(files.length > 30 && loaded.size > 15, 'commands and what they load were found');
  t.same(heavy, [], 'import it where it is used: await import(...)');
  t.end();
});
