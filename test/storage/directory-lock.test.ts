import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/protocol/chukcha-error.js';
import { DirectoryLock } from '../../src/storage/directory-lock.js';

/** Lets another process take the lock and die with it. */
async function leaveDeadLock(t: Test, directory: string): Promise<void> {
  const child = fork(join(import.meta.dirname, '..', 'support', 'lock-process.js'), [directory]);
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'message');
  const taking = DirectoryLock.take(directory, 'node two');
  const message = new RegExp(`in use by node lock-process, process ${child.pid}: stop that one`);
  await t.rejects(taking, { code: 'directory_in_use', message });
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Whatever the lock keeps in the directory, but for folders. */
async function socketsIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}

await t.test('a directory has one holder at a time', async (t) => {
  const directory = t.testdir();
  const lock = await DirectoryLock.take(directory, 'node one');
  await t.rejects(DirectoryLock.take(directory, 'node two'), {
    code: 'directory_in_use',
    message: /in use by node one, process \d+: stop that one, or choose another directory/,
  });
  await lock.release();
  await lock.release();
  const next = await DirectoryLock.take(directory, 'node two');
  await next.release();
  t.same(await socketsIn(directory), [], 'nothing is left behind');
});

await t.test('a holder that was killed does not keep the directory', async (t) => {
  const directory = t.testdir();
  await leaveDeadLock(t, directory);
  const lock = await DirectoryLock.take(directory, 'node two');
  await lock.release();
  t.same(await socketsIn(directory), []);
});

await t.test('of many that find a dead lock exactly one gets it', async (t) => {
  const directory = t.testdir();
  await leaveDeadLock(t, directory);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, (_, index) => DirectoryLock.take(directory, `node ${index}`)),
  );
  const locks = outcomes.flatMap((outcome) =>
    outcome.status === 'fulfilled' ? [outcome.value] : [],
  );
  t.equal(locks.length, 1);
  const codes = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [errorCode(outcome.reason)] : [],
  );
  t.same([...new Set(codes)], ['directory_in_use']);
  for (const lock of locks) await lock.release();
  t.same(await socketsIn(directory), []);
});

await t.test('a directory with a path longer than a socket may have can be locked', async (t) => {
  const directory = join(t.testdir(), 'x'.repeat(100), 'y'.repeat(100));
  await mkdir(directory, { recursive: true });
  const lock = await DirectoryLock.take(directory, 'node one');
  await t.rejects(DirectoryLock.take(directory, 'node two'), { code: 'directory_in_use' });
  await lock.release();
});

await t.test('what cannot be locked is refused with what to do', async (t) => {
  const file = `${t.testdir({ file: '' })}/file`;
  await t.rejects(DirectoryLock.take(file, 'node one'), {
    code: 'directory_invalid',
    message: /cannot be locked .*: choose one on a local disk/,
  });
});
