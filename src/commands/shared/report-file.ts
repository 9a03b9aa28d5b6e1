import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';

/** A file for the report of a command that takes long. */
export interface ReportFile {
  write(report: unknown): Promise<void>;
}

/**
 * Opens the file before the work begins, so that a path that cannot be written is told then and not after an hour. What
 * the file has stays until the report replaces it. Throws `invalid_option`.
 *
 * @param path `undefined` where none was asked for: nothing is written then
 */
export async function openReportFile(path: string | undefined): Promise<ReportFile> {
  if (path === undefined) return { write: () => Promise.resolve() };
  const { open, writeFile } = await import('node:fs/promises');
  try {
    const file = await open(path, 'a');
    await file.close();
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `--report is ${path}, which cannot be written (${errorMessage(cause)}): expected a file in a directory that is there.`,
      { cause },
    );
  }
  return {
    write: (report) => writeFile(path, `${JSON.stringify(report, undefined, 2)}\n`),
  };
}
