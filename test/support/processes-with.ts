import { readdirSync, readFileSync } from 'node:fs';

/** The ids of other processes that have the text among their words; none where there is no `/proc`. */
export function processesWith(text: string): string[] {
  const isNumber = (name: string): boolean => /^\d+$/.test(name) && name !== String(process.pid);
  return namesIn('/proc')
    .filter(isNumber)
    .filter((id) => {
      try {
        return readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(text);
      } catch {
        // It has ended since.
        return false;
      }
    });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
