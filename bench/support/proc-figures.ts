import { readFileSync } from 'node:fs';

/** `_SC_CLK_TCK` of Linux, in which `/proc` counts processor time. */
const ticksPerSecond = 100;

/**
 * Processor time that a process has used so far, in seconds. What the kernel does for it elsewhere, such as writing dirty
 * pages to the disk, is not in it. Throws when the process has ended.
 */
export function cpuSecondsOf(pid: number): number {
  const words = procFile(pid, 'stat').split(') ')[1]?.split(' ') ?? [];
  return (Number(words[11]) + Number(words[12])) / ticksPerSecond;
}

/** The memory that a process holds now (`VmRSS`), or the most that it has held (`VmHWM`), in MiB. Throws when it has ended. */
export function memoryMibOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kib = new RegExp(`${field}:\\s+(\\d+)`).exec(procFile(pid, 'status'))?.[1];
  return Number(kib) / 1024;
}

function procFile(pid: number, name: string): string {
  return readFileSync(`/proc/${pid}/${name}`, 'utf8');
}
