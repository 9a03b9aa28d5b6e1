import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { StandardError } from '../../src/commands/shared/standard-error.js';
import { createJsonLogLines } from '../../src/common/json-log-lines.js';
import { logValueLengthMax } from '../../src/common/log-values.js';
import { type LogFields, type LogRecord, quietLogger } from '../../src/common/logger.js';
import { escapeLines } from '../../src/common/printable.js';
import { textLogLine } from '../../src/common/text-log-line.js';
import { findVaryingSentences, type VaryingSentence } from '../support/log-sentences.js';
import { RecordingLogger } from '../support/recording-logger.js';

const root = join(import.meta.dirname, '..', '..', '..');
const jsonLogLine = createJsonLogLines();

const record = (fields: LogFields, sentence = 'Something was refused.'): LogRecord => ({
  wallMs: Date.UTC(2026, 0, 1),
  level: 'warn',
  sentence,
  fields,
});

/** What would be printed as something else than it is. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Values that somebody chose to be taken for something else. */
const hostile: Record<string, string> = {
  'a new line': 'x\n2026-01-01T00:00:00.000Z info  Node is ready.',
  'a return': 'x\rError: no',
  'a colour': '\u001b[31mred\u001b[0m',
  'a title of the terminal': '\u001b]0;title\u0007',
  'a sequence of C1': '\u009b2J',
  'the next line of C1': 'a\u0085b',
  'the separators of Unicode': 'a\u2028b\u2029c',
  'a text from right to left': '\u202eexe.txt\u2066x\u2069\u200f',
  'characters of no width': 'a\u200b\ufeff\u00adb',
  'a tag beyond the first plane': '\u{e0041}',
  'half a pair': 'a\ud800b\udc00',
  'another field': 'x" level=error user="root',
  'an object': '{"level":"error"}',
  'an ending object': '","level":"fatal","x":"',
  'a place for a value': '%s %d %j %%',
  NUL: 'a\u0000b',
};

function checkText(t: Test, line: string, name: string): void {
  t.ok(line.endsWith('\n'), `${name} ends with a newline`);
  t.notMatch(line.slice(0, -1), unprintable, `${name} is one line that can be printed`);
}

t.test('whatever a value or a name is, the line is one, and both forms can be read back', (t) => {
  for (const [name, value] of Object.entries(hostile)) {
    const text = textLogLine(record({ value, after: 1 }));
    checkText(t, text, `text of ${name}`);
    const [, shown = ''] =
      /^\S+ warn {2}Something was refused\. value=(.*) after=1\n$/.exec(text) ?? [];
    t.equal(shown.startsWith('"') ? JSON.parse(shown) : shown, value, `text of ${name}`);

    const json = jsonLogLine(record({ value, after: 1 }));
    checkText(t, json, `json of ${name}`);
    t.strictSame(JSON.parse(json), {
      level: 'warn',
      time: '2026-01-01T00:00:00.000Z',
      value,
      after: 1,
      msg: 'Something was refused.',
    });

    checkText(t, textLogLine(record({ [value]: 1 })), `text of a field named with ${name}`);
    const named = jsonLogLine(record({ [value]: 1 }));
    checkText(t, named, `json of a field named with ${name}`);
    t.equal(JSON.parse(named)[value], 1);

    checkText(t, textLogLine(record({}, value)), `text of a sentence with ${name}`);
    const said = jsonLogLine(record({}, value));
    checkText(t, said, `json of a sentence with ${name}`);
    t.equal(JSON.parse(said).msg, value);
  }
  t.end();
});

t.test('no field takes the place of time, level or sentence', (t) => {
  const fields = { time: 'never', level: 'fatal', msg: 'forged', v: 1, pid: 2 };
  t.strictSame(JSON.parse(jsonLogLine(record(fields))), {
    level: 'warn',
    time: '2026-01-01T00:00:00.000Z',
    time_: 'never',
    level_: 'fatal',
    msg_: 'forged',
    v: 1,
    pid: 2,
    msg: 'Something was refused.',
  });
  t.end();
});

t.test('a long value is cut and says by how much', (t) => {
  const long = `${'x'.repeat(logValueLengthMax - 1)}\u{1f600}${'y'.repeat(10_000)}`;
  const cut = `${'x'.repeat(logValueLengthMax - 1)}… (10002 characters more)`;
  t.equal(JSON.parse(jsonLogLine(record({ long }))).long, cut, 'not through a pair');
  t.ok(textLogLine(record({ long })).includes(JSON.stringify(cut)));
  const escapes = textLogLine(record({ value: '\u001b'.repeat(1_000_000) }));
  t.ok(escapes.length < 7 * logValueLengthMax, 'also when each character becomes six');
  t.end();
});

t.test('values against the contract are shown and never throw', (t) => {
  const cycle: Record<string, unknown> = {};
  cycle['itself'] = cycle;
  const values: Record<string, unknown> = {
    nothing: undefined,
    nan: Number.NaN,
    big: 10n,
    null: null,
    list: [1, 'a'],
    error: new Error('bad'),
    cycle,
    symbol: Symbol('s'),
    stubborn: {
      toJSON: () => {
        throw new Error('no');
      },
    },
    method: 'GET',
    headers: 'h',
    socket: 's',
  };
  const fields = values as LogFields;
  t.match(JSON.parse(jsonLogLine(record(fields))), {
    nan: 'NaN',
    big: '10',
    null: 'null',
    list: '[1,"a"]',
    error: 'Error: bad',
    cycle: 'a value that has no text',
    symbol: 'Symbol(s)',
    stubborn: 'a value that has no text',
    msg: 'Something was refused.',
  });
  t.notMatch(textLogLine(record(fields)), /nothing/);
  t.end();
});

t.test('what is told in several lines keeps these and nothing else', (t) => {
  t.equal(escapeLines('a\n\tb\u001b[2J\rc\u202e'), 'a\n\tb\\u001b[2J\\u000dc\\u202e');
  t.end();
});

t.test('a part of another command tells of its ordinary life only to who looks for faults', (t) => {
  const log = new RecordingLogger(true);
  const quiet = quietLogger(log);
  for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) quiet[level](level);
  t.same(
    log.entries.map(({ level }) => level),
    ['trace', 'debug', 'debug', 'warn', 'error'],
  );
  t.end();
});

/** A pipe that takes so many bytes until it is emptied. */
class SmallPipe {
  taken = '';
  roomBytes: number;
  failure = 'EAGAIN';
  waiting: (() => void)[] = [];
  pauseCount = 0;
  readonly ports = {
    write: (bytes: Uint8Array): number => {
      if (this.roomBytes === 0)
        throw Object.assign(new Error(this.failure), { code: this.failure });
      const part = bytes.subarray(0, this.roomBytes);
      this.roomBytes -= part.length;
      this.taken += Buffer.from(part).toString();
      return part.length;
    },
    later: (run: () => void): void => void this.waiting.push(run),
    pause: (): void => {
      this.pauseCount += 1;
    },
  };

  constructor(roomBytes: number) {
    this.roomBytes = roomBytes;
  }

  wake(): void {
    for (const run of this.waiting.splice(0)) run();
  }
}

t.test('a full pipe delays lines, in their order, and loses none up to a limit', (t) => {
  const pipe = new SmallPipe(5);
  const output = new StandardError(pipe.ports);
  for (const text of ['one\n', 'two\n', 'three\n']) output.print(text);
  t.equal(pipe.taken, 'one\nt');
  t.equal(pipe.waiting.length, 1, 'it waits once');
  pipe.roomBytes = 4;
  pipe.wake();
  t.equal(pipe.taken, 'one\ntwo\nt');
  pipe.roomBytes = 100;
  pipe.wake();
  t.equal(pipe.taken, 'one\ntwo\nthree\n');
  t.equal(pipe.waiting.length, 0, 'nothing is left to wait for');
  t.end();
});

t.test('beyond the limit lines are counted, which is told when there is room again', (t) => {
  const pipe = new SmallPipe(0);
  const output = new StandardError(pipe.ports);
  output.onRoomAgain = (count) => output.print(`${count} were left out\n`);
  const line = `${'x'.repeat(99_999)}\n`;
  for (let count = 0; count < 15; count += 1) output.print(line);
  pipe.roomBytes = 10_000_000;
  pipe.wake();
  t.equal(pipe.taken, `${line.repeat(10)}5 were left out\n`);
  t.end();
});

t.test('a reader that is gone, or a disk that is full, stops nothing', (t) => {
  const gone = new SmallPipe(0);
  gone.failure = 'EPIPE';
  const output = new StandardError(gone.ports);
  output.print('one\n');
  gone.roomBytes = 100;
  output.print('two\n');
  t.equal(gone.taken, '', 'nobody is there to be told anything');

  const full = new SmallPipe(0);
  full.failure = 'ENOSPC';
  const file = new StandardError(full.ports);
  file.onRoomAgain = (count) => file.print(`${count} were left out\n`);
  file.print('one\n');
  full.roomBytes = 100;
  file.print('two\n');
  t.equal(full.taken, 'two\n1 were left out\n');
  t.end();
});

t.test('the end of the process waits for a reader, and not for ever', (t) => {
  const pipe = new SmallPipe(0);
  const output = new StandardError(pipe.ports);
  output.print('last words\n');
  output.flush();
  t.ok(pipe.pauseCount > 10 && pipe.pauseCount < 100, `${pipe.pauseCount} pauses`);
  pipe.roomBytes = 100;
  output.flush();
  t.equal(pipe.taken, 'last words\n');
  t.end();
});

/** Where loggers themselves are made: they get their sentences from others. */
const makers =
  /^src\/common\/(logger|rate-limited-logger|json-log-lines)\.ts$|\/command-log\.ts$|\/conformance\//;

t.test('every sentence of a log is written in the source as it is', (t) => {
  const folders = [
    'src',
    ...readdirSync(join(root, 'plugins')).map((name) => `plugins/${name}/src`),
  ];
  let callCount = 0;
  const varying: VaryingSentence[] = [];
  for (const folder of folders) {
    for (const name of readdirSync(join(root, folder), { recursive: true }).map(String)) {
      const path = `${folder}/${name}`;
      if (!path.endsWith('.ts') || makers.test(path)) continue;
      const text = readFileSync(join(root, path), 'utf8');
      callCount += text.match(/\b(log|logger)\.(debug|info|warn|error)\(/g)?.length ?? 0;
      varying.push(...findVaryingSentences(path, text));
    }
  }
  t.same(varying, []);
  t.ok(callCount > 80, `${callCount} calls were looked at`);
  t.end();
});

t.test('the search for sentences finds those that vary', (t) => {
  const varying = [
    `log.info(\`Read \${count} lines.\`)`,
    "log.warn('Read ' + name, {})",
    'this.#ports.log.error(error.message)',
    "logger.debug(isFine ? 'Fine.' : reason)",
    "const text = 'x'; log.info(text)",
    `#tell(text: string) { log.info(text); } run() { this.#tell(\`a \${b}\`); }`,
    'log[level](sentence)',
  ];
  for (const source of varying) t.equal(findVaryingSentences('x', source).length, 1, source);
  const constant = [
    `log.info('Read lines.', { name: \`\${count}\` })`,
    'log.info("It\'s read.")',
    "log.info(\n  'One ' +\n    'sentence.',\n)",
    "log.warn(\n  reason === 'a'\n    ? 'One.'\n    : 'Other.',\n  {},\n)",
    "#tell(text: string) { log.info(text); } run() { this.#tell('One.'); }",
    "logger[level]('One.')",
  ];
  for (const source of constant) t.same(findVaryingSentences('x', source), [], source);
  t.end();
});
