import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { SeededRandom } from '../../../src/common/seeded-random.js';
import { createLineFormat } from '../../../src/pipeline/formats/create-line-format.js';
import { JavascriptLineKernel } from '../../../src/pipeline/formats/javascript-line-kernel.js';
import type {
  FormatLimits,
  FormattedLines,
  LineContext,
  LineFormat,
} from '../../../src/pipeline/formats/line-format.js';
import { SplicingFormat } from '../../../src/pipeline/formats/splicing-format.js';
import { checkProperty } from '../../support/seeded-random.js';

const root = join(import.meta.dirname, '..', '..', '..', '..');
const context: LineContext = {
  source: '/var/log/app.log',
  host: 'web-1',
  sourceId: 'f3a9',
  offset: 1000,
  timeMs: Date.UTC(2026, 10, 25, 15, 0, 0, 7),
};
const roomy: FormatLimits = { outBytesMax: 1 << 20, messageBytesMax: 1 << 16 };

const raw = await createLineFormat('raw');
const json = await createLineFormat('json');
const envelope = await createLineFormat('envelope');
const slowly = {
  json: new SplicingFormat('json', new JavascriptLineKernel()),
  envelope: new SplicingFormat('envelope', new JavascriptLineKernel()),
};

type Piece = (random: SeededRandom) => Buffer;

/** Plain runs around the size of a block, escapes, longer characters. */
const goodPieces: readonly Piece[] = [
  (random) => Buffer.alloc(random.integer(0, 40), 'plain text'),
  (random) =>
    Buffer.from(random.pick(['"', '\\', '\t', '\r', '\b', '\f', '\0', '\x1f', '\x7f', '  '])),
  (random) =>
    Buffer.from(random.pick(['é', 'Ж', '€', '\u2028', '😀', '\ufffd', '\ufeff', '\ud7ff'])),
  (random) => Buffer.from(random.pick(['{', '}', '{}', '{"a":1}', ' {"b":[]} ', ','])),
  (random) => Buffer.from(random.pick(['long ', '"', 'Жж', '😀']).repeat(random.integer(1, 300))),
];

const brokenPieces: readonly Piece[] = [
  (random) => Buffer.from(random.hex(random.integer(1, 5)).replaceAll('0a', '0b'), 'hex'),
  (random) =>
    Buffer.from(random.pick(['c3', 'e282', 'f09f98', 'eda080', 'f4908080', 'c0', 'e0']), 'hex'),
  (random) => Buffer.alloc(random.integer(1, 900), 0xff),
];

function randomLines(random: SeededRandom, pieces: readonly Piece[]): Buffer {
  const lines = Array.from({ length: random.integer(1, 12) }, () => {
    const body = Buffer.concat(
      Array.from({ length: random.integer(0, 8) }, () => random.pick(pieces)(random)),
    );
    const [open, close] = random.pick([
      ['', ''],
      ['{"x":', '}'],
      [' {', '}\r'],
    ]);
    return Buffer.concat([Buffer.from(open ?? ''), body, Buffer.from(`${close}\n`)]);
  });
  return Buffer.concat(lines);
}

function textOf({ bytes }: FormattedLines): string {
  return Buffer.from(bytes).toString();
}

/** The messages of lines that are given with their newlines, as objects. */
function objectsOf(
  format: LineFormat,
  lines: string | Uint8Array,
  limits = roomy,
): Record<string, unknown>[] {
  const formatted = format.apply(Buffer.from(lines), 0, context, limits);
  return textOf(formatted)
    .split('\n')
    .slice(0, -1)
    .map((message) => JSON.parse(message) as Record<string, unknown>);
}

/** All messages of the bytes, call by call. */
function formatAll(
  format: LineFormat,
  bytes: Uint8Array,
  lineContext: LineContext,
  limits: FormatLimits,
): { text: string; cutCount: number; wrappedCount: number; calls: readonly number[] } {
  const pieces: Buffer[] = [];
  const calls: number[] = [];
  let cutCount = 0;
  let wrappedCount = 0;
  for (let start = 0; start < bytes.length; ) {
    const offset = lineContext.offset + start;
    const formatted = format.apply(bytes, start, { ...lineContext, offset }, limits);
    pieces.push(Buffer.from(formatted.bytes));
    calls.push(formatted.consumed, formatted.bytes.length);
    cutCount += formatted.cutCount;
    wrappedCount += formatted.wrappedCount;
    start += formatted.consumed;
  }
  return { text: Buffer.concat(pieces).toString('latin1'), cutCount, wrappedCount, calls };
}

await t.test('an envelope has the id, the time, the host, the source and the line', async (t) => {
  t.equal(
    textOf(envelope.apply(Buffer.from('one\nthe second\n'), 0, context, roomy)),
    '{"id":"f3a9-1000","time":"2026-11-25T15:00:00.007Z","host":"web-1","source":"/var/log/app.log","message":"one"}\n' +
      '{"id":"f3a9-1004","time":"2026-11-25T15:00:00.007Z","host":"web-1","source":"/var/log/app.log","message":"the second"}\n',
  );
});

await t.test('the offset in an id is that of the line, wherever formatting starts', async (t) => {
  const { bytes } = envelope.apply(Buffer.from('one\ntwo\nthree\n'), 4, context, roomy);
  const ids = Buffer.from(bytes)
    .toString()
    .match(/f3a9-\d+/g);
  t.same(ids, ['f3a9-1000', 'f3a9-1004']);
});

await t.test('fields are spliced into an object behind its brace', async (t) => {
  const head =
    '{"chukcha_id":"f3a9-1000","chukcha_time":"2026-11-25T15:00:00.007Z","chukcha_host":"web-1","chukcha_source":"/var/log/app.log"';
  const expected: Readonly<Record<string, string>> = {
    '{"a":1}': `${head},"a":1}`,
    '{}': `${head}}`,
    '{ \t }': `${head}}`,
    '{ "a" : {} }': `${head}, "a" : {} }`,
    ' \t{"a":1} \r': `${head},"a":1}`,
    '{{}': `${head},{}`,
  };
  for (const [line, message] of Object.entries(expected)) {
    const formatted = json.apply(Buffer.from(`${line}\n`), 0, context, roomy);
    t.equal(textOf(formatted), `${message}\n`, line);
    t.equal(formatted.wrappedCount, 0);
  }
});

await t.test(
  'a line that is no object is wrapped under the keys of its format, and counted',
  async (t) => {
    const lines = [
      '',
      ' ',
      'text',
      '{',
      '}',
      '{"a":1',
      '"a":1}',
      '[1]',
      '{} x',
      'x {}',
      '{\r',
      '\0{}',
    ];
    for (const line of lines) {
      const formatted = json.apply(Buffer.from(`${line}\n`), 0, context, roomy);
      t.equal(formatted.wrappedCount, 1, JSON.stringify(line));
      t.same(JSON.parse(textOf(formatted)), {
        chukcha_id: 'f3a9-1000',
        chukcha_time: '2026-11-25T15:00:00.007Z',
        chukcha_host: 'web-1',
        chukcha_source: '/var/log/app.log',
        message: line,
        wrapped: true,
      });
    }
  },
);

await t.test('every character comes back from an envelope', async (t) => {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  const lines = [
    ...ascii.filter((character) => character !== '\n'),
    '\u2028é\ufffd\ufeffЖ€😀\u{10ffff}\r',
  ];
  for (const padding of ['', 'fourteen chars', 'fifteen of them', 'x'.repeat(33)]) {
    const sent = lines.map((line) => padding + line + padding);
    const messages = objectsOf(envelope, `${sent.join('\n')}\n`).map(({ message }) => message);
    t.same(messages, sent);
  }
});

await t.test(
  'what is not UTF-8 is replaced as decoders do it, and the message says how often',
  async (t) => {
    const hexes = [
      '80',
      'c0af',
      'c3',
      'c328',
      'e28c',
      'e282',
      'eda080',
      'f0808080',
      'f09f98',
      'f4908080',
      'f8888080',
      'ff41fe',
      'efbfbdff',
    ];
    for (const hex of hexes) {
      const line = Buffer.from(`61${hex}62`, 'hex');
      const message = new TextDecoder().decode(line);
      const originalCount = hex.startsWith('efbfbd') ? 1 : 0;
      t.match(objectsOf(envelope, Buffer.concat([line, Buffer.from('\n')])), [
        { message, replaced: message.split('\ufffd').length - 1 - originalCount },
      ]);
    }
    t.notOk('replaced' in (objectsOf(envelope, '\ufffd\n')[0] ?? {}));
  },
);

await t.test(
  'a line that is too long is cut where a character ends, and says how long it was',
  async (t) => {
    for (const character of ['x', '"', '\u0001', 'é', '€', '😀']) {
      for (let padding = 0; padding < 20; padding += 1) {
        const line = 'p'.repeat(padding) + character.repeat(400);
        const limits = { ...roomy, messageBytesMax: 400 };
        const formatted = envelope.apply(Buffer.from(`${line}\n`), 0, context, limits);
        const [message] = objectsOf(envelope, `${line}\n`, limits);
        t.ok(line.startsWith(String(message?.['message'])), 'it is the start of the line');
        t.notMatch(message?.['message'], /\ufffd/);
        t.equal(message?.['cut'], Buffer.byteLength(line));
        t.equal(formatted.cutCount, 1);
        t.ok(formatted.bytes.length <= 400 && formatted.bytes.length > 340, 'it uses the room');
      }
    }
  },
);

await t.test('a message that is exactly as long as the limit is not cut', async (t) => {
  const line = `${'y'.repeat(500)}\n`;
  const { length } = envelope.apply(Buffer.from(line), 0, context, roomy).bytes;
  const cuts = [length, length - 1].map(
    (messageBytesMax) =>
      envelope.apply(Buffer.from(line), 0, context, { ...roomy, messageBytesMax }).cutCount,
  );
  t.same(cuts, [0, 1]);
});

await t.test('an object that is too long after splicing becomes a cut envelope', async (t) => {
  const line = JSON.stringify({ text: 'z'.repeat(400) });
  const limits = { ...roomy, messageBytesMax: 450 };
  const [message] = objectsOf(json, `${line}\n`, limits);
  t.match(message, { chukcha_id: 'f3a9-1000', cut: line.length });
  t.ok(line.startsWith(String(message?.['message'])));
  t.notOk('wrapped' in (message ?? {}), 'it was an object');
  t.match(objectsOf(json, `${line}!\n`, limits), [{ wrapped: true, cut: line.length + 1 }]);
});

await t.test('raw gives the bytes as they are, and cuts only what is too long', async (t) => {
  const bytes = Buffer.from('\xff\0\r\none\n\n', 'latin1');
  t.same(Buffer.from(raw.apply(bytes, 0, context, roomy).bytes), bytes);
  t.same(Buffer.from(raw.apply(bytes, 4, context, roomy).bytes), bytes.subarray(4));
  const limits = { outBytesMax: 12, messageBytesMax: 6 };
  const { text, cutCount } = formatAll(
    raw,
    Buffer.from('short\nlonger é€😀\nonetwo\né\n'),
    context,
    limits,
  );
  t.equal(text, 'short\nlonge\nonetw\nÃ©\n');
  t.equal(cutCount, 2);
  const cut = raw.apply(Buffer.from('ab😀\n'), 0, context, { outBytesMax: 1, messageBytesMax: 6 });
  t.same([textOf(cut), cut.consumed], ['ab\n', 7], 'a character is not cut through');
});

await t.test('names of sources and hosts are escaped', async (t) => {
  const names = { source: 'a"\\\n\u0007é', host: '"', sourceId: '\\"' };
  const { bytes } = envelope.apply(Buffer.from('m\n'), 0, { ...context, ...names }, roomy);
  t.match(JSON.parse(Buffer.from(bytes).toString()), {
    ...names,
    sourceId: undefined,
    id: '\\"-1000',
  });
});

await t.test('misuse is refused with a sentence', async (t) => {
  const apply = (
    bytes: string,
    change: Partial<LineContext & FormatLimits & { start: number }>,
  ) => {
    const { start = 0 } = change;
    envelope.apply(Buffer.from(bytes), start, { ...context, ...change }, { ...roomy, ...change });
  };
  t.throws(() => apply('', {}), /cannot start at 0.*within the 0 bytes/);
  t.throws(() => apply('a\n', { start: 2 }), /cannot start at 2/);
  t.throws(() => apply('a\nb', {}), /end with byte 98: expected whole lines/);
  t.throws(() => apply('a\n', { offset: -1 }), /offset -1 .* expected a whole number/);
  t.throws(() => apply('a\n', { timeMs: Number.NaN }), /time NaN .* expected milliseconds/);
  t.throws(() => apply('a\n', { outBytesMax: 0 }), /outBytesMax is 0: expected/);
  t.throws(() => apply('a\n', { messageBytesMax: 100 }), /100 bytes are too small .* need \d+/);
});

await t.test('both kernels draw the line at the same byte', async (t) => {
  const characters = ['x', '"', '\u0001', 'é', '€', '😀', '\xff'];
  const lines = Buffer.concat(
    characters.map((character) => {
      const text = Buffer.from(character.repeat(150), character === '\xff' ? 'latin1' : 'utf8');
      return Buffer.concat([Buffer.from('{"k":"'), text, Buffer.from('"}\n')]);
    }),
  );
  for (const format of [json, envelope] as const) {
    const slow = slowly[format.name as 'json' | 'envelope'];
    for (let bytesMax = 260; bytesMax < 320; bytesMax += 1) {
      for (const limits of [
        { outBytesMax: 1 << 20, messageBytesMax: bytesMax },
        { outBytesMax: bytesMax * 2, messageBytesMax: 1 << 16 },
      ]) {
        const found = formatAll(format, lines, context, limits);
        checkSame(format.name, found, formatAll(slow, lines, context, limits));
      }
    }
    const { length } = format.apply(lines, 0, context, roomy).bytes;
    for (const messageBytesMax of [roomy.messageBytesMax, 300]) {
      const exact = format.apply(lines, 0, context, { outBytesMax: length, messageBytesMax });
      t.equal(exact.consumed, lines.length, 'messages that fill the room exactly are in it');
    }
  }
});

await t.test('offsets of any length are written', async (t) => {
  const offsets = [0, 9, 10, 999_999_999, 1e9, 1e9 + 1, 4_294_967_296, Number.MAX_SAFE_INTEGER];
  for (const offset of offsets) {
    const { bytes } = envelope.apply(Buffer.from('a\n'), 0, { ...context, offset }, roomy);
    t.equal(JSON.parse(Buffer.from(bytes).toString()).id, `f3a9-${offset}`);
  }
});

await t.test('both kernels make the same bytes of anything', async (t) => {
  await checkProperty(t, 300, (random) => {
    const bytes = randomLines(random, random.pick([goodPieces, [...goodPieces, ...brokenPieces]]));
    const lineContext = {
      ...context,
      source: random.pick(['s', '/a/long/path/of/a/log', 'Ж"\\']),
      offset: random.pick([0, 9, 2 ** 32 - 5, Number.MAX_SAFE_INTEGER - bytes.length]),
    };
    const limits = {
      outBytesMax: random.pick([1, 100, random.integer(1, 3000), 1 << 20]),
      messageBytesMax: random.pick([random.integer(320, 800), 1 << 16]),
    };
    for (const format of [json, envelope] as const) {
      const fast = formatAll(format, bytes, lineContext, limits);
      const slow = formatAll(
        slowly[format.name as 'json' | 'envelope'],
        bytes,
        lineContext,
        limits,
      );
      checkSame(format.name, fast, slow);
      const atOnce = formatAll(format, bytes, lineContext, { ...limits, outBytesMax: 1 << 22 });
      checkSame(
        `${format.name} in other portions`,
        { ...fast, calls: [] },
        { ...atOnce, calls: [] },
      );
      checkMessages(fast.text, format.name, limits.messageBytesMax);
    }
  });
});

function checkSame(name: string, found: object, wanted: object): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${name} made ${left} instead of ${right}`);
}

/** A message is never too long, and an envelope is always an object. */
function checkMessages(text: string, name: string, messageBytesMax: number): void {
  for (const message of text.split('\n').slice(0, -1)) {
    if (message.length + 1 > messageBytesMax) throw new Error(`a message is too long: ${message}`);
    if (name === 'envelope') JSON.parse(Buffer.from(message, 'latin1').toString());
  }
}

await t.test('a process without WebAssembly formats all the same', async (t) => {
  const program = `
    const { createLineFormat } = await import('./build/src/pipeline/formats/create-line-format.js');
    const format = await createLineFormat('envelope');
    const { bytes } = format.apply(Buffer.from('a\\n'), 0, ${JSON.stringify(context)}, ${JSON.stringify(roomy)});
    process.stdout.write(typeof WebAssembly + ' ' + Buffer.from(bytes).toString());`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--jitless', '--input-type=module', '--eval', program],
    { cwd: root, encoding: 'utf8' },
  );
  const expected = textOf(envelope.apply(Buffer.from('a\n'), 0, context, roomy));
  t.equal(stdout, `undefined ${expected}`, stderr);
});

await t.test(
  'the kernel that is checked in is what its source compiles to, and is published',
  async (t) => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/build-kernel.js', '--check'], {
      cwd: root,
      encoding: 'utf8',
    });
    t.equal(status, 0, stderr);
    const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      files: string[];
    };
    t.ok(files.includes('assembly/line-kernel.wasm'));
  },
);
