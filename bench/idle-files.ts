import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchOptions } from './support/bench-options.js';
import { startNode } from './support/servers.js';
import { median, percentile } from './support/statistics.js';
import { printTable } from './support/table.js';

/** `_SC_CLK_TCK` of Linux, in which `/proc` counts processor time. */
const ticksPerSecond = 100;

/** How long a line may take before the benchmark gives up, in milliseconds. */
const waitMsMax = 60_000;

interface Volume {
  readonly fileCount: number;
  readonly idleSeconds: number;
  readonly appendCount: number;
}

const volumeDefault: Volume = { fileCount: 20_000, idleSeconds: 20, appendCount: 60 };
const volumeQuick: Volume = { fileCount: 2_000, idleSeconds: 5, appendCount: 20 };

/** What many files that nobody writes to cost `ship`, and how soon a line that is added to one is in the bus. */
export async function benchIdleFiles({ quick }: BenchOptions): Promise<void> {
  const volume = quick ? volumeQuick : volumeDefault;
  const rows: string[][] = [];
  for (const isWatching of [true, false]) rows.push(await runWith(volume, isWatching));
  printTable(
    [
      `${volume.fileCount} files`,
      'start s',
      'idle CPU %',
      'descriptors',
      'MiB',
      'append p50 ms',
      'append p99 ms',
    ],
    rows,
  );
}

async function runWith(volume: Volume, isWatching: boolean): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  const logs = join(directory, 'logs');
  const data = join(directory, 'data');
  writeFiles(logs, volume.fileCount);
  const node = await startNode(data);
  const words = ['bin/run.js', 'ship', '--from', `file:${logs}/*.log`, '--server', node.url.origin];
  const options = ['--set', `watch=${isWatching}`, '--set', 'read_from=end'];
  const more = ['--state', join(directory, 'state'), ...options];
  const startMs = performance.now();
  const child = spawn(process.execPath, [...words, ...more], { stdio: 'ignore' });
  try {
    const pid = child.pid as number;
    let bytes = await whenStarted(data, join(logs, '0.log'));
    const startSeconds = (performance.now() - startMs) / 1000;
    // Directories that were changed a moment ago are listed again for some seconds.
    await sleep(5_000);
    const cpuBefore = cpuSeconds(pid);
    await sleep(volume.idleSeconds * 1000);
    const idleShare = (cpuSeconds(pid) - cpuBefore) / volume.idleSeconds;
    const latencies: number[] = [];
    for (let count = 0; count < volume.appendCount; count += 1) {
      // Somewhere in a poll interval, and never twice in one file.
      await sleep(50 + ((count * 37) % 100));
      const file = join(logs, `${(count * 7919) % volume.fileCount}.log`);
      const atMs = performance.now();
      appendFileSync(file, firstLine);
      bytes += firstLine.length;
      await whenStored(data, bytes);
      latencies.push(performance.now() - atMs);
    }
    return [
      isWatching ? 'watched' : 'polled every second',
      startSeconds.toFixed(1),
      (idleShare * 100).toFixed(2),
      String(readdirSync(`/proc/${pid}/fd`).length),
      memoryMib(pid).toFixed(0),
      median(latencies).toFixed(1),
      percentile(latencies, 0.99).toFixed(1),
    ];
  } finally {
    child.kill();
    await node.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

const firstLine = `${'x'.repeat(99)}\n`;

function writeFiles(directory: string, fileCount: number): void {
  mkdirSync(directory);
  for (let index = 0; index < fileCount; index += 1) {
    writeFileSync(join(directory, `${index}.log`), firstLine);
  }
}

/** Adds lines to a file until one is in the bus: those before all files were looked at are not wanted. */
async function whenStarted(data: string, file: string): Promise<number> {
  const endMs = performance.now() + 3 * waitMsMax;
  for (let count = 0; storedBytes(data) === 0; count += 1) {
    if (performance.now() > endMs) throw new Error('No line came.');
    if (count % 50 === 0) appendFileSync(file, firstLine);
    await sleep(10);
  }
  // Whatever was added before it is read too.
  await sleep(2_000);
  return storedBytes(data);
}

/** Resolves when the node has so many bytes of messages in its files. */
async function whenStored(data: string, byteCount: number): Promise<void> {
  const endMs = performance.now() + waitMsMax;
  while (storedBytes(data) < byteCount) {
    if (performance.now() > endMs)
      throw new Error(`${storedBytes(data)} of ${byteCount} bytes came`);
    await sleep(1);
  }
}

function storedBytes(data: string): number {
  const directory = join(data, 'logs');
  try {
    const names = readdirSync(directory).filter(
      (name) => !name.includes('.') && !/index/.test(name),
    );
    return names.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
  } catch {
    return 0;
  }
}

function cpuSeconds(pid: number): number {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(words[11]) + Number(words[12])) / ticksPerSecond;
}

function memoryMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}
