import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { referencePages } from '../scripts/reference/reference-pages.js';

t.test('the reference is what the sources give', async (t) => {
  const root = join(import.meta.dirname, '..', '..');
  const directory = join(root, 'docs', 'reference');
  const pages = await referencePages(root);
  t.same(readdirSync(directory).sort(), [...pages.keys()].sort());
  for (const [name, text] of pages) {
    const committed = readFileSync(join(directory, name), 'utf8');
    t.equal(committed, text, `docs/reference/${name}: \`npm run docs\` writes it anew`);
  }
});

t.test('whatever type the library takes or gives can be imported from it', (t) => {
  const text = readFileSync('docs/reference/library.md', 'utf8');
  const exported = new Set([...text.matchAll(/^## `(\w+)`$/gm)].map(([, name]) => name));
  // Those of the language and of Node.js, and the two ports that tests put in.
  const others =
    /^(Record|Readonly|Uint8Array|Buffer|Promise|Symbol|AsyncGenerator|AbortSignal|Error|Clock|Random)$/;
  const used = [...text.matchAll(/^```ts\n(.*?)\n```$|^\| `\w+\??` \| `(.*?)` \|/gms)]
    .flatMap(
      ([, code, field]) =>
        (code ?? field ?? '').replace(/\/\*.*?\*\//gs, '').match(/\b[A-Z]\w+/g) ?? [],
    )
    .filter((name) => !others.test(name));
  t.ok(used.includes('WriteReceipt'), 'types were found');
  t.same(
    [...new Set(used)].filter((name) => !exported.has(name)),
    [],
  );
  t.end();
});
