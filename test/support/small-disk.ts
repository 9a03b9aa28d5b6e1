import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Test } from 'tap';
import { testDirectory } from './test-directory.js';

/** A file system of its own in memory, with limits that a test can run into. */
export class SmallDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Mounts a tmpfs until the end of the test. Where this user or machine cannot, the test is skipped with the
   * reason, and `undefined` is returned.
   *
   * @param options as `mount -o` takes them
   */
  static mount(t: Test, options: string): SmallDisk | undefined {
    const directory = `${testDirectory(t)}/disk`;
    mkdirSync(directory);
    const problem = run('mount', ['-t', 'tmpfs', '-o', options, 'chukcha-test', directory]);
    if (problem !== undefined) {
      t.pass('a file system of its own', { skip: `it cannot be mounted here: ${problem}` });
      return undefined;
    }
    // Lazily, so that the mount goes also when a process that the test left behind has files open there.
    t.teardown(() => void run('umount', ['--lazy', directory]));
    return new SmallDisk(directory);
  }

  /** Tells whether it was done: a file system with a file open for writing cannot be made read-only. */
  remount(mode: 'ro' | 'rw'): boolean {
    return run('mount', ['-o', `remount,${mode}`, this.directory]) === undefined;
  }
}

/** What a program said when it failed; `undefined` when it did not. */
function run(program: string, words: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim() || `${program} ended with ${status}`);
}
