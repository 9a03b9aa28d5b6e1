import { writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { withConfigFile } from '../../src/commands/shared/config-file.js';
import { type NodeOptions, resolveNodeOptions } from '../../src/node/node-options.js';
import { errorCode, errorMessage } from '../../src/protocol/chukcha-error.js';

/** What `serve` makes of a file and of what was given besides. */
async function resolve(
  t: Test,
  content: string,
  given: Readonly<Record<string, unknown>> = {},
): Promise<NodeOptions> {
  const path = `${t.testdir()}/node.yaml`;
  await writeFile(path, content);
  return resolveNodeOptions(await withConfigFile(path, given));
}

await t.test('a file gives options by the names of their flags', async (t) => {
  const yaml = 'name: n\nmax-batch: 1MiB\nflush-interval: 250ms\nretain-for: logs=7d, *=30d\n';
  const options = await resolve(t, yaml);
  t.match(options, { name: 'n', batchBytesMax: 1024 ** 2, flushIntervalMs: 250, port: 8080 });
  t.same(options.retentionOf('logs'), { ageMsMax: 7 * 86_400_000, bytesMax: undefined });
  t.same(options.retentionOf('else'), { ageMsMax: 30 * 86_400_000, bytesMax: undefined });
  const json = await resolve(t, '{"retain-size": "logs=1GiB", "scrub-interval": 0}');
  t.match(json, { scrubIntervalMs: 0 });
  t.same(json.retentionOf('logs'), { ageMsMax: undefined, bytesMax: 1024 ** 3 });
  t.equal(json.retentionOf('else'), undefined);
});

await t.test('what was given besides goes before the file', async (t) => {
  const options = await resolve(t, 'name: file\ndata: ./file\n', {
    name: 'given',
    data: undefined,
  });
  t.match(options, { name: 'given', dataDirectory: './file' });
  t.match(resolveNodeOptions(await withConfigFile(undefined, { name: 'given' })), {
    name: 'given',
  });
});

await t.test('a file without options asks for nothing', async (t) => {
  for (const content of ['', '# nothing yet\n', '---\n', '{}', '\ufeff']) {
    t.match(await resolve(t, content), { dataDirectory: './data' }, JSON.stringify(content));
  }
});

const mistakes: readonly (readonly [content: string, sentence: RegExp])[] = [
  ['naem: a', /no option "naem": did you mean name\?/],
  ['config: other.yaml', /no option "config"/],
  ['1: 2', /no option "1"/],
  ['__proto__: {}', /no option "__proto__"/],
  ['listen: 8080', /listen is "8080"/],
  ['max-chunk-size: 20M', /max-chunk-size is "20M": it must be a number of bytes, or one with KiB/],
  ['max-chunk-size: -1', /max-chunk-size is "-1"/],
  ['rotate-interval: 0', /rotate-interval is "0": it must be 1 or more/],
  ['disk-reserve: many', /disk-reserve is "many": it must be auto, or a number of bytes/],
  ['retain-for: logs=x', /retain-for has "logs=x"/],
  ['retain-for: a=1d=2d', /retain-for has "a=1d=2d"/],
  ['retain-size: a=1,a=2', /retain-size has "a=2"/],
  ['name:', /name is/],
  ['name: {a: b}', /name is/],
  ['- name: a', /has no options: expected lines such as/],
  ['just words', /has no options: expected lines such as/],
  ['name: [', /yaml cannot be read \(.*\): expected YAML, or name another file with --config/],
  ['name: a\nname: b', /cannot be read \(.*unique/],
  ['a: 1\n---\nb: 2', /cannot be read \(.*document/],
];

await t.test('a mistake in a file is told with its value and what was expected', async (t) => {
  for (const [content, sentence] of mistakes) {
    const error = await resolve(t, content).catch((thrown: unknown) => thrown);
    t.equal(errorCode(error), 'invalid_option', content);
    t.match(errorMessage(error), sentence, content);
    t.notMatch(errorMessage(error), '\n', 'in one line');
  }
  await t.rejects(withConfigFile(`${t.testdir()}/nowhere.yaml`, {}), {
    code: 'invalid_option',
    message: /nowhere\.yaml cannot be read \(ENOENT/,
  });
});
