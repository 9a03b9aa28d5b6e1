import { getEventListeners } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Backoff, backoffDefaults } from '../../src/common/backoff.js';
import { systemClock } from '../../src/common/clock.js';
import { createDeferred } from '../../src/common/deferred.js';
import { linkSignals } from '../../src/common/link-signals.js';
import { createLogger, type Logger, type LogLevel } from '../../src/common/logger.js';
import { makeDirectory } from '../../src/common/make-directory.js';
import { Mutex } from '../../src/common/mutex.js';
import { systemRandom } from '../../src/common/random.js';
import { createRateLimitedLogger } from '../../src/common/rate-limited-logger.js';
import { retry } from '../../src/common/retry.js';
import { textLogLine } from '../../src/common/text-log-line.js';
import { ChangeSignal, sleep } from '../../src/common/wait.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { SeededRandom } from '../support/seeded-random.js';
import { testDirectory } from '../support/test-directory.js';

await t.test('delays between tries double up to their limit and keep a random half', async (t) => {
  const options = { firstDelayMs: 100, delayMsMax: 450 };
  const lowest = new Backoff({ fraction: () => 0, hex: () => '' }, options);
  const highest = new Backoff({ fraction: () => 0.999_999, hex: () => '' }, options);
  t.same(
    [1, 2, 3, 4, 5].map(() => lowest.nextDelayMs()),
    [50, 100, 200, 225, 225],
  );
  t.same(
    [1, 2, 3, 4, 5].map(() => Math.round(highest.nextDelayMs())),
    [100, 200, 400, 450, 450],
  );
});

await t.test('two clients that failed together do not come back together', async (t) => {
  const delays = [1, 2].map((seed) => new Backoff(new SeededRandom(seed)).nextDelayMs());
  t.not(delays[0], delays[1]);
  for (const delayMs of delays) {
    t.ok(delayMs >= backoffDefaults.firstDelayMs / 2 && delayMs <= backoffDefaults.firstDelayMs);
  }
});

await t.test('a mutex runs one task at a time, in the order in which they came', async (t) => {
  const mutex = new Mutex();
  const gate = createDeferred<void>();
  const events: string[] = [];
  const task = (name: string, wait: Promise<void>) => async (): Promise<string> => {
    events.push(`${name} starts`);
    await wait;
    events.push(`${name} ends`);
    return name;
  };
  const first = mutex.run(task('first', gate.promise));
  const second = mutex.run(task('second', Promise.resolve()));
  await Promise.resolve();
  t.same(events, ['first starts']);
  gate.resolve();
  t.same(await Promise.all([first, second]), ['first', 'second']);
  t.same(events, ['first starts', 'first ends', 'second starts', 'second ends']);
});

await t.test('a task that fails does not stop the ones behind it', async (t) => {
  const mutex = new Mutex();
  const failing = mutex.run(async () => {
    throw new Error('broken');
  });
  const next = mutex.run(async () => 'done');
  await t.rejects(failing, { message: 'broken' });
  t.equal(await next, 'done');
});

await t.test('a sleep ends when its time has come and not before', async (t) => {
  const clock = new FakeClock();
  let awake = false;
  const sleeping = sleep(clock, 100).then(() => {
    awake = true;
  });
  clock.advance(99);
  await Promise.resolve();
  t.notOk(awake);
  clock.advance(1);
  await sleeping;
  t.ok(awake);
});

await t.test('a sleep that is aborted rejects with the reason and leaves no timer', async (t) => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const sleeping = sleep(clock, 100, controller.signal);
  controller.abort(new Error('stopped'));
  await t.rejects(sleeping, { message: 'stopped' });
  await t.rejects(sleep(clock, 100, controller.signal), { message: 'stopped' });
  t.equal(clock.timerCount, 0);
});

await t.test('a change wakes all who wait and is not remembered for later', async (t) => {
  const clock = new FakeClock();
  const signal = new ChangeSignal();
  const waits = [signal.wait({ clock }), signal.wait({ clock, timeoutMs: 50 })];
  signal.notify();
  await Promise.all(waits);
  t.equal(clock.timerCount, 0, 'the time-out of a wait that ended is cancelled');
  let woken = false;
  const later = signal.wait({ clock, timeoutMs: 50 }).then(() => {
    woken = true;
  });
  await Promise.resolve();
  t.notOk(woken);
  clock.advance(50);
  await later;
});

await t.test('a wait ends when its signal aborts, also when that was before', async (t) => {
  const clock = new FakeClock();
  const signal = new ChangeSignal();
  const controller = new AbortController();
  const waiting = signal.wait({ clock, timeoutMs: 1_000, signal: controller.signal });
  controller.abort();
  await waiting;
  await signal.wait({ clock, signal: controller.signal });
  t.equal(clock.timerCount, 0);
});

await t.test('who waits again while being woken is not woken twice', async (t) => {
  const clock = new FakeClock();
  const signal = new ChangeSignal();
  let wakeCount = 0;
  const again = async (): Promise<void> => {
    await signal.wait({ clock });
    wakeCount += 1;
    await signal.wait({ clock });
    wakeCount += 1;
  };
  const done = again();
  signal.notify();
  await Promise.resolve();
  await Promise.resolve();
  t.equal(wakeCount, 1);
  signal.notify();
  await done;
  t.equal(wakeCount, 2);
});

function loggedLines(level: LogLevel, run: (log: Logger) => void): string[] {
  const lines: string[] = [];
  run(
    createLogger({
      level: () => level,
      clock: new FakeClock(),
      write: (record) => void lines.push(textLogLine(record)),
    }),
  );
  return lines;
}

await t.test('a linked signal goes with the first, and leaves nothing in any of them', (t) => {
  const [one, other] = [new AbortController(), new AbortController()];
  const hangsOn = (): number[] =>
    [one, other].map(({ signal }) => getEventListeners(signal, 'abort').length);
  const released = linkSignals(one.signal, other.signal);
  t.same(hangsOn(), [1, 1]);
  released.release();
  released.release();
  t.same(hangsOn(), [0, 0]);
  const linked = linkSignals(one.signal, other.signal);
  const reason = new Error('stop');
  other.abort(reason);
  t.equal(linked.signal.reason, reason);
  t.notOk(released.signal.aborted);
  t.same(hangsOn(), [0, 0]);
  t.equal(linkSignals(one.signal, other.signal).signal.reason, reason, 'also when it came before');
  t.same(hangsOn(), [0, 0]);
  t.end();
});

await t.test('a log line has the time, the level, the sentence and the fields', async (t) => {
  const lines = loggedLines('info', (log) => {
    log.info('Listening.', {
      url: 'http://127.0.0.1:8080',
      port: 8080,
      secure: false,
      host: undefined,
    });
    log.error('Stopped taking writes.');
  });
  t.same(lines, [
    '2026-01-01T00:00:00.000Z info  Listening. url=http://127.0.0.1:8080 port=8080 secure=false\n',
    '2026-01-01T00:00:00.000Z error Stopped taking writes.\n',
  ]);
});

await t.test('what is below the level is left out', async (t) => {
  const lines = loggedLines('warn', (log) => {
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
  });
  t.equal(lines.length, 2);
  t.equal(loggedLines('debug', (log) => log.debug('a')).length, 1);
});

await t.test('no value can forge a field, a line or a terminal sequence', async (t) => {
  const values = [
    'a b',
    'x level=error',
    'a\nb',
    'a\r\nb',
    'a"b',
    '',
    'a=b',
    '\u001b[31mred',
    'a\u2028b',
    'a\u009b31m',
  ];
  for (const value of values) {
    const [line = ''] = loggedLines('info', (log) => log.info('Refused.', { value, after: 1 }));
    t.match(line, /^\S+ info {2}Refused\. value=".*" after=1\n$/s);
    const printed = /value=(".*") after/s.exec(line)?.[1] ?? '';
    t.equal(JSON.parse(printed), value, 'the value can be read back');
    const controls = [...line.slice(0, -1)].filter((character) => /\p{Cc}/u.test(character));
    t.same(controls, [], 'the line has no control character but its end');
  }
});

await t.test('the real clock and randomness keep their contracts', async (t) => {
  const startMs = systemClock.monotonicMs();
  await sleep(systemClock, 5);
  t.ok(systemClock.monotonicMs() - startMs >= 4);
  t.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1_000);
  systemClock.after(60_000, () => t.fail('a cancelled timer must not fire')).cancel();
  await new Promise<void>((resolve) => systemClock.defer(resolve));
  const fraction = systemRandom.fraction();
  t.ok(fraction >= 0 && fraction < 1);
  t.match(systemRandom.hex(4), /^[0-9a-f]{8}$/);
  t.not(systemRandom.hex(8), systemRandom.hex(8));
});

await t.test(
  'of a failure that repeats, one line in a second is logged, with a count',
  async (t) => {
    const clock = new FakeClock();
    const recorder = new RecordingLogger();
    const log = createRateLimitedLogger(recorder, clock);
    for (let count = 0; count < 5; count += 1)
      log.error('It failed.', { code: 'disk_full', count });
    log.error('It failed.', { code: 'internal' });
    log.warn('It failed.', { code: 'disk_full' });
    clock.advance(1_000);
    for (let count = 5; count < 7; count += 1)
      log.error('It failed.', { code: 'disk_full', count });
    clock.advance(5_000);
    log.error('It failed.', { code: 'disk_full', count: 7 });
    log.error('It failed.', { code: 'internal' });
    const lines = recorder.entries.map(({ level, fields }) => ({ level, ...fields }));
    t.same(lines, [
      { level: 'error', code: 'disk_full', count: 0 },
      { level: 'error', code: 'internal' },
      { level: 'warn', code: 'disk_full' },
      { level: 'error', code: 'disk_full', count: 5, leftOut: 4 },
      { level: 'error', code: 'disk_full', count: 7, leftOut: 1 },
      { level: 'error', code: 'internal' },
    ]);
  },
);

await t.test(
  'a delay that the other side asks for is kept, with a growing one on top',
  async (t) => {
    const delays: number[] = [];
    let count = 0;
    const call = async (): Promise<string> => {
      count += 1;
      if (count < 4) throw new Error('busy');
      return 'done';
    };
    const clock = new FakeClock();
    const result = retry(call, {
      clock,
      random: { fraction: () => 0, hex: () => '' },
      decide: () => ({ notBeforeMs: 1_000 }),
      onRetry: (_error, delayMs) => {
        delays.push(delayMs);
        setImmediate(() => clock.advance(delayMs));
      },
      signal: new AbortController().signal,
    });
    t.equal(await result, 'done');
    t.same(delays, [1_025, 1_050, 1_100]);
  },
);

await t.test('a directory is made with those above it, and told from the top down', async (t) => {
  const directory = testDirectory(t, { there: {} });
  const made: string[] = [];
  const note = async (path: string): Promise<void> => {
    made.push(path);
  };
  const path = join(directory, 'there', 'a', 'b');
  await makeDirectory(path, note);
  t.same(made, [join(directory, 'there', 'a'), path]);
  t.ok(existsSync(path));
  await makeDirectory(path, note);
  t.equal(made.length, 2, 'what is there is not made');
  writeFileSync(join(path, 'file'), '');
  await t.rejects(makeDirectory(join(path, 'file')), { code: 'EEXIST' });
  await t.rejects(makeDirectory(join(path, 'file', 'below')), { code: 'ENOTDIR' });
});

await t.test(
  'a directory that cannot be made in one that is there ends with what the system says',
  { skip: existsSync('/proc/self') ? false : 'there is no /proc' },
  async (t) => {
    await t.rejects(makeDirectory('/proc/none/below'), { code: 'ENOENT', path: '/proc/none' });
  },
);
