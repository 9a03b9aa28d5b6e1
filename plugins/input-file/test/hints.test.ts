import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FileProcessRun, whyNoLimits } from './support/file-process-run.js';

const noLimits = await whyNoLimits();

/** Directories whose files are followed; the last has more entries than chokidar is given. */
const directoryNames = ['a', 'b', 'large'] as const;

const pollIntervalMs = 400;

/** How many lines are written one after another, each when the one before has come. */
const turnCount = 12;

/** A program that writes numbered lines to files. */
class Writer {
  readonly lines: string[] = [];

  write(path: string): string {
    const line = `line ${this.lines.length}`;
    appendFileSync(path, `${line}\n`);
    this.lines.push(line);
    return line;
  }
}

for (const { name, value, limit, code } of [
  { name: 'max_inotify_watches', value: 1, limit: 'fs.inotify.max_user_watches', code: 'ENOSPC' },
  {
    name: 'max_inotify_instances',
    value: 0,
    limit: 'fs.inotify.max_user_instances',
    code: 'EMFILE',
  },
] as const) {
  t.test(
    `with ${name} of ${value} (${code}) files are followed by polling until there are more`,
    { skip: noLimits ?? false },
    async (t) => {
      const directory = t.testdir({});
      const writer = new Writer();
      const files = directoryNames.map((each) => join(directory, each, 'app.log'));
      for (const each of directoryNames) mkdirSync(join(directory, each));
      for (let count = 0; count <= 1000; count += 1)
        writeFileSync(join(directory, 'large', `${count}.other`), '');
      for (const file of files) writer.write(file);
      const run = FileProcessRun.startLimited(
        { paths: [`${directory}/*/*.log`], pollIntervalMs },
        name,
        value,
      );
      t.teardown(() => run.end());
      const has = (line: string) => (): boolean => run.lines.includes(line);
      const warnings = (): string[] =>
        run.logs.filter(({ level }) => level === 'warn').map(({ text }) => text);
      await run.until(() => warnings().length > 0, 'the warning');
      t.match(warnings()[0], `sysctl ${limit}=`, 'it names the limit and how to raise it');
      for (const file of files) await run.until(has(writer.write(file)), 'a line by polling');
      renameSync(files[1] as string, `${files[1]}.1`);
      await run.until(has(writer.write(files[1] as string)), 'a line of a new file by polling');

      run.setLimit(name, 100);
      const again = 'The system reports changes of files again.';
      await run.until(() => run.logs.some(({ text }) => text === again), 'watches again');
      // The watches of chokidar stand a moment later.
      for (const file of files) await run.until(has(writer.write(file)), 'a line');
      const startMs = performance.now();
      for (let turn = 0; turn < turnCount; turn += 1) {
        const line = writer.write(files[turn % files.length] as string);
        await run.until(has(line), 'a line by a hint');
      }
      const spentMs = performance.now() - startMs;
      t.comment(`${turnCount} lines in turn took ${spentMs.toFixed(0)} ms`);
      t.ok(spentMs < (turnCount * pollIntervalMs) / 3, 'lines come before the next poll');
      t.same([...run.lines].sort(), [...writer.lines].sort(), 'each line came once');
      t.equal(warnings().length, 1, 'it is said once');
    },
  );
}

const queueMax = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));

t.test(
  'hints that are lost because there were too many lose nothing',
  { skip: queueMax > 100_000 && `the queue of inotify is very long here: ${queueMax} events` },
  async (t) => {
    const directory = t.testdir({});
    const writer = new Writer();
    const [left, right, late, rotated, created] = ['left', 'right', 'late', 'rotated', 'new'].map(
      (name) => join(directory, `${name}.log`),
    ) as [string, string, string, string, string];
    for (const file of [left, right, late, rotated]) writer.write(file);
    const paths = [`${directory}/*.log*`];
    const run = FileProcessRun.start({ paths, pollIntervalMs });
    const hintsAlone = FileProcessRun.start({ paths, pollIntervalMs: 3_600_000 });
    t.teardown(() => Promise.all([run.end(), hintsAlone.end()]));
    const runs = [run, hintsAlone];
    const hasAll = (each: FileProcessRun) => (): boolean =>
      each.lines.length >= writer.lines.length;
    for (const each of runs) await each.until(hasAll(each), 'the first lines');
    // Only what happens once the watch stands is hinted at.
    const timer = setInterval(() => writer.write(left), 20);
    await hintsAlone.until(() => hintsAlone.lines.length > 4, 'a first hint');
    clearInterval(timer);
    for (const each of runs) await each.until(hasAll(each), 'the lines before');

    for (const each of runs) each.signal('SIGSTOP');
    // Two events of one file that follow each other are one for the kernel.
    for (let count = 0; count <= queueMax / 2; count += 1) {
      writer.write(left);
      writer.write(right);
    }
    writer.write(late);
    renameSync(rotated, `${rotated}.1`);
    writer.write(`${rotated}.1`);
    writer.write(rotated);
    const lateLine = writer.write(late);
    const newLine = writer.write(created);
    for (const each of runs) each.signal('SIGCONT');
    await run.until(hasAll(run), 'all lines');
    t.equal(run.lines.length, writer.lines.length, 'each line came once');
    t.same(new Set(run.lines), new Set(writer.lines));
    t.ok(run.lines.includes(lateLine) && run.lines.includes(newLine));
    t.notOk(
      hintsAlone.lines.includes(lateLine),
      'hints were lost: with them alone it did not come',
    );
  },
);
