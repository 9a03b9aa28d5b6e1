import { readdir, readFile } from 'node:fs/promises';

/** What a process has used. */
export interface ProcessFigures {
  /** The memory that it holds now (RSS), and the most that it has held. */
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
  readonly descriptorCount: number;
  /**
   * Processor time since its start, in seconds. What the kernel does elsewhere, such as bringing pages to the disk, is
   * not in it.
   */
  readonly cpuSeconds: number;
}

/** `USER_HZ`, in which `/proc` counts processor time on every Linux. */
const ticksPerSecond = 100;

/**
 * Looks at a process of this machine. `undefined` where there is no `/proc`, as outside of Linux, and for a process that
 * has ended or belongs to somebody else.
 */
export async function readProcessFigures(processId: number): Promise<ProcessFigures | undefined> {
  const directory = `/proc/${processId}`;
  try {
    const [status, stat, descriptors] = await Promise.all([
      readFile(`${directory}/status`, 'latin1'),
      readFile(`${directory}/stat`, 'latin1'),
      readdir(`${directory}/fd`),
    ]);
    return {
      residentBytes: statusBytes(status, 'VmRSS'),
      peakResidentBytes: statusBytes(status, 'VmHWM'),
      descriptorCount: descriptors.length,
      cpuSeconds: cpuSecondsOf(stat),
    };
  } catch {
    // That nothing is known is what the caller is told.
    return undefined;
  }
}

/** Processor time of everything that runs on this machine since its start, in seconds; `undefined` where there is no `/proc`. */
export async function readMachineCpuSeconds(): Promise<number | undefined> {
  const text = await readFile('/proc/stat', 'latin1').catch(() => undefined);
  if (text === undefined) return undefined;
  // cpu user nice system idle iowait irq softirq ...
  const [, user, nice, system, , , irq, softirq] = text.split(/\s+/, 8).map(Number);
  return sum([user, nice, system, irq, softirq]) / ticksPerSecond;
}

function sum(values: readonly (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}

function statusBytes(status: string, field: string): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
  return Number(kib ?? 0) * 1024;
}

/** The name of the program, in parentheses, may have spaces: the numbers stand behind it. */
function cpuSecondsOf(stat: string): number {
  const words = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  return (Number(words[11]) + Number(words[12])) / ticksPerSecond;
}
