import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../src/index.js';
import type { BenchOptions } from './support/bench-options.js';
import { sealedChunks } from './support/plan-reads.js';
import { startNode } from './support/servers.js';
import { printTable } from './support/table.js';
import { writeLinesFile } from './support/write-lines-file.js';

const GB = 1_000_000_000;

/** How often the process is looked at: its peak (VmHWM) is the kernel's own, and lasts until the process ends. */
const lookIntervalMs = 50;

/** How often what the node has is acknowledged, so that the disk never holds the whole file twice. */
const freeIntervalMs = 1_000;

interface Volume {
  readonly format: 'raw' | 'envelope';
  readonly fileBytes: number;
}

const volumesDefault: readonly Volume[] = [
  { format: 'raw', fileBytes: 10 * GB },
  { format: 'envelope', fileBytes: 2 * GB },
];
const volumesQuick: readonly Volume[] = [
  { format: 'raw', fileBytes: 1 * GB },
  { format: 'envelope', fileBytes: 0.5 * GB },
];

interface Memory {
  readonly readBytes: number;
  readonly rssMib: number;
  readonly peakMib: number;
}

/** What `ship --once` of one large file holds in memory on its way, and at most. */
export async function benchShipMemory({ quick }: BenchOptions): Promise<void> {
  for (const volume of quick ? volumesQuick : volumesDefault) await shipOne(volume);
}

async function shipOne({ format, fileBytes }: Volume): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'chukcha-bench-'));
  const source = join(directory, 'source.log');
  try {
    writeLinesFile(source, fileBytes);
    const node = await startNode(join(directory, 'data'));
    const isOver = new AbortController();
    const freeing = freeWhatIsStored(new Client({ server: node.url.origin }), isOver.signal);
    try {
      const words = ['--from', `file:${source}`, '--server', node.url.origin, '--once'];
      const more = ['--format', format, '--state', join(directory, 'state')];
      const child = spawn(process.execPath, ['bin/run.js', 'ship', ...words, ...more], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const startMs = performance.now();
      const looks = await watchMemory(child);
      const seconds = (performance.now() - startMs) / 1000;
      printTable(['GB read', 'RSS MiB', 'peak so far MiB'], looksPerGigabyte(looks, fileBytes));
      const peakMib = looks.at(-1)?.peakMib ?? Number.NaN;
      const rate = fileBytes / 1e6 / seconds;
      printTable(
        ['format', 'GB', 'peak MiB (VmHWM)', 'peak MB', 'MB/s'],
        [
          [
            format,
            (fileBytes / GB).toFixed(1),
            peakMib.toFixed(0),
            (peakMib * 1.048_576).toFixed(0),
            rate.toFixed(0),
          ],
        ],
      );
    } finally {
      isOver.abort();
      await freeing.finally(() => node.stop());
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Looks at a process until it ends; throws unless it ends with 0. */
async function watchMemory(child: ChildProcess): Promise<Memory[]> {
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  const looks: Memory[] = [];
  while (child.exitCode === null && child.signalCode === null) {
    const look = memoryOf(child.pid as number);
    if (look !== undefined) looks.push(look);
    await Promise.race([sleep(lookIntervalMs), exited]);
  }
  const [code, signal] = await exited;
  if (code !== 0) throw new Error(`ship ended with ${code ?? signal}`);
  return looks;
}

/** `undefined` for a process that ends at this moment. */
function memoryOf(pid: number): Memory | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mib = (field: string): number =>
      Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    const io = readFileSync(`/proc/${pid}/io`, 'utf8');
    const [rssMib, peakMib] = [mib('VmRSS'), mib('VmHWM')];
    if (Number.isNaN(peakMib)) return undefined;
    return { readBytes: Number(/rchar: (\d+)/.exec(io)?.[1]), rssMib, peakMib };
  } catch {
    return undefined;
  }
}

/** The first look behind each gigabyte, and the last one. */
function looksPerGigabyte(looks: readonly Memory[], fileBytes: number): string[][] {
  const rows: string[][] = [];
  for (let atBytes = GB; atBytes < fileBytes; atBytes += GB) {
    const look = looks.find(({ readBytes }) => readBytes >= atBytes);
    if (look !== undefined) rows.push(toRow(look, atBytes));
  }
  const last = looks.at(-1);
  return last === undefined ? rows : [...rows, toRow(last, fileBytes)];
}

function toRow({ rssMib, peakMib }: Memory, atBytes: number): string[] {
  return [(atBytes / GB).toFixed(1), rssMib.toFixed(0), peakMib.toFixed(0)];
}

/** Acknowledges the chunks that do not grow any more, again and again, which removes them. */
async function freeWhatIsStored(client: Client, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const { name, size } of await sealedChunks(client, 'logs'))
      await client.ack('logs', name, size);
    await sleep(freeIntervalMs, undefined, { signal }).catch(() => undefined);
  }
}
