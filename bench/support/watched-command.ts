import { spawn } from 'node:child_process';
import { cpuSecondsOf, memoryMibOf } from './proc-figures.js';

/** How often a command is looked at: what it did in its last moment of so many milliseconds is not seen. */
const lookMs = 20;

export interface WatchedRun {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The most memory that it held, in MiB. */
  readonly peakMib: number;
  /** The memory that it held at each look, in MiB. */
  readonly memoryMib: readonly number[];
}

/** Runs a Node program to its end and watches its processor time and memory. Throws when it does not end with 0. */
export async function watchCommand(words: readonly string[]): Promise<WatchedRun> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const { pid = 0 } = child;
  let said = '';
  child.stderr.on('data', (piece: Buffer) => {
    said = `${said}${piece}`.slice(-1_000);
  });
  let cpuSeconds = 0;
  let peakMib = 0;
  const memoryMib: number[] = [];
  const timer = setInterval(() => {
    try {
      cpuSeconds = cpuSecondsOf(pid);
      memoryMib.push(memoryMibOf(pid, 'VmRSS'));
      // One that has just ended has no memory to tell of.
      peakMib = Math.max(peakMib, memoryMibOf(pid, 'VmHWM') || 0);
    } catch {
      // It has just ended.
    }
  }, lookMs);
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearInterval(timer);
  if (exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${exitCode}: ${said}`);
  const seconds = (performance.now() - startedMs) / 1_000;
  return { seconds, cpuSeconds, peakMib, memoryMib: memoryMib.filter((mib) => mib > 0) };
}
