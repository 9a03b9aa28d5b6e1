import { readdir, readFile } from 'node:fs/promises';

/** Files and connections that the process has open, and how many the system lets it have. */
export interface DescriptorCounts {
  readonly open: number;
  /** `Infinity` where there is no limit. */
  readonly max: number;
}

/** Looks how many there are; `undefined` on systems that do not tell it as Linux does. Never rejects. */
export async function countDescriptors(): Promise<DescriptorCounts | undefined> {
  try {
    const [names, limits] = await Promise.all([
      readdir('/proc/self/fd'),
      readFile('/proc/self/limits', 'utf8'),
    ]);
    const [, max = 'unlimited'] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
    // One of them is that of the look itself.
    return { open: names.length - 1, max: max === 'unlimited' ? Infinity : Number(max) };
  } catch {
    // Nothing depends on it: the figures are left out.
    return undefined;
  }
}
