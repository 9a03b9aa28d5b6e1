import { readdirSync, rmdirSync, unlinkSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { atExit } from './at-exit.js';

/** How long an end of the process may wait for a directory; thousands of files are removed in it. */
const removeMsMax = 5_000;

/** Processes that were just killed may still be ending, and make files until then. */
const retryMs = 20;

const standardError = 2;

/** A directory of this process, which is gone when the process is, unless it is kept. */
export class TemporaryDirectory {
  readonly path: string;
  readonly #forget: () => void;

  private constructor(path: string) {
    this.path = path;
    this.#forget = atExit('directories', () => removeNow(path));
  }

  /** Makes one whose name begins so, in a directory that is there. Throws what the system says. */
  static async make(parent: string, prefix: string): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(await mkdtemp(join(parent, prefix)));
  }

  /** Has it stay. */
  keep(): void {
    this.#forget();
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    this.#forget();
  }
}

/** Removes it at once, as far as the time allows, and tells the terminal what stays. */
function removeNow(path: string): void {
  const deadlineMs = performance.now() + removeMsMax;
  for (;;) {
    try {
      removeUntil(path, deadlineMs);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (performance.now() > deadlineMs) {
        writeSync(standardError, `Directory ${path} could not be removed in time: remove it.\n`);
        return;
      }
      pause(retryMs);
    }
  }
}

/** By hand: `rmSync` has no limit. */
function removeUntil(path: string, deadlineMs: number): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (performance.now() > deadlineMs) throw new Error('There was no time left.');
    const entryPath = join(path, entry.name);
    if (entry.isDirectory()) removeUntil(entryPath, deadlineMs);
    else unlinkSync(entryPath);
  }
  rmdirSync(path);
}

/** The only wait that there is while a process ends. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
