// Writes `docs/reference` anew from the sources; `test/reference.test.ts` tells when that was forgotten.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { referencePages } from './reference-pages.js';

const root = join(import.meta.dirname, '..', '..', '..');
const directory = join(root, 'docs', 'reference');
const pages = await referencePages(root);
mkdirSync(directory, { recursive: true });
for (const name of readdirSync(directory)) {
  if (!pages.has(name)) rmSync(join(directory, name), { recursive: true });
}
for (const [name, text] of pages) writeFileSync(join(directory, name), text);
console.log(`${pages.size} pages are in docs/reference.`);
