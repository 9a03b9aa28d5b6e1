import t from 'tap';
import { ChukchaError } from '../../src/protocol/chukcha-error.js';
import {
  checkCategoryName,
  checkChunkName,
  checkGroupName,
  checkNodeName,
  compareChunkNames,
  formatChunkName,
  isCategoryName,
  parseChunkName,
} from '../../src/protocol/names.js';

const refusedEverywhere = [
  '',
  ' ',
  '.',
  '..',
  '../x',
  'a/b',
  '/',
  'a\\b',
  'a\0b',
  '\0',
  'a\n',
  'a b',
  'a.b',
  '.chukcha',
  'é',
  '%2e%2e',
  'x'.repeat(300),
];

function refusal(run: () => unknown): ChukchaError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof ChukchaError ? error : undefined;
  }
}

await t.test('names that could leave their directory or break a line are refused', async (t) => {
  for (const name of refusedEverywhere) {
    for (const check of [checkCategoryName, checkNodeName, checkGroupName, checkChunkName]) {
      t.equal(refusal(() => check(name))?.code, 'invalid_name', JSON.stringify(name.slice(0, 20)));
    }
    t.notOk(isCategoryName(name));
    t.equal(parseChunkName(name), undefined);
  }
});

await t.test('names of every allowed character and length are taken', async (t) => {
  for (const name of ['a', '0', '-', '_', '--', 'Logs_2026-01', 'x'.repeat(64)]) {
    t.equal(checkCategoryName(name), name);
    t.equal(checkNodeName(name), name);
    t.equal(checkGroupName(name), name);
  }
  t.equal(checkCategoryName('x'.repeat(128)).length, 128);
  t.equal(refusal(() => checkCategoryName('x'.repeat(129)))?.code, 'invalid_name');
  t.equal(refusal(() => checkNodeName('x'.repeat(65)))?.code, 'invalid_name');
  t.equal(refusal(() => checkGroupName('x'.repeat(65)))?.code, 'invalid_name');
});

await t.test('a refusal repeats the start of the name and says what is expected', async (t) => {
  const error = refusal(() => checkCategoryName(`a/${'b'.repeat(300)}`));
  t.match(error?.message, /^category name "a\/b{38}\.\.\." is not valid: expected 1 to 128 of /);
  t.match(error?.fields, { kind: 'category' });
  t.notMatch(refusal(() => checkNodeName('a\nforged'))?.message, /\n/);
});

await t.test('a chunk name is read back as it was made', async (t) => {
  for (const owner of ['node1', 'a-chunk000000001', 'x-chunk', '-chunk', 'x'.repeat(64)]) {
    for (const index of [0, 7, 999_999_999]) {
      const text = formatChunkName({ owner, index });
      t.same(parseChunkName(text), { owner, index }, text);
      t.same(checkChunkName(text), { owner, index });
    }
  }
  t.equal(formatChunkName({ owner: 'node1', index: 42 }), 'node1-chunk000000042');
});

await t.test('what only looks like a chunk name is refused', async (t) => {
  for (const text of [
    '-chunk000000000',
    'node1-chunk00000000',
    'node1-chunk0000000000',
    'node1-chunk00000000a',
    'node1-Chunk000000000',
    'node1chunk000000000',
    'node1-chunk000000000\n',
    'node1-chunk000000000.new',
    'a/node1-chunk000000000',
    `${'x'.repeat(65)}-chunk000000000`,
  ]) {
    t.equal(parseChunkName(text), undefined, JSON.stringify(text.slice(0, 30)));
    t.equal(refusal(() => checkChunkName(text))?.code, 'invalid_name');
  }
});

await t.test('an index that has no nine digits is misuse', async (t) => {
  for (const index of [-1, 0.5, 1_000_000_000, Number.NaN]) {
    t.throws(() => formatChunkName({ owner: 'node1', index }), RangeError);
  }
});

await t.test('chunks are ordered by owner and then by index', async (t) => {
  const names = [
    { owner: 'b', index: 0 },
    { owner: 'a', index: 10 },
    { owner: 'a', index: 9 },
    { owner: 'a-', index: 0 },
  ];
  t.same(
    names.sort(compareChunkNames).map(({ owner, index }) => `${owner}:${index}`),
    ['a:9', 'a:10', 'a-:0', 'b:0'],
  );
});
