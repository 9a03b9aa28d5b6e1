import { rename, writeFile } from 'node:fs/promises';

/** Puts a file in the place of the one that is there, so that who reads it has the one or the other, and only its owner may. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const nextPath = `${path}.next`;
  await writeFile(nextPath, text, { mode: 0o600 });
  await rename(nextPath, path);
}
