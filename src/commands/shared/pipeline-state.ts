import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { StateJournal } from '../../pipeline/state-journal.js';
import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';
import { DirectoryLock } from '../../storage/directory-lock.js';
import { nodeDisk } from '../../storage/node-disk.js';

/** What makes one pipeline another than the next, in a fixed order. */
export interface PipelineParts {
  readonly verb: 'ship' | 'sink' | 'pipe';
  readonly category: string;
  /** Further parts: addresses, group, server. */
  readonly parts: readonly string[];
}

/** Eight hexadecimal digits tell the pipelines of one machine apart. */
const hashLength = 8;

/** The file in a state directory that holds the state. */
export const stateJournalName = 'state.journal';

/** Where states lie: in the user's state directory (`XDG_STATE_HOME`, else `~/.local/state`). */
export function stateBaseDirectory(): string {
  return join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'chukcha');
}

/** The directory of a pipeline in the user's state directory. */
export function defaultStateDirectory({ verb, category, parts }: PipelineParts): string {
  const hash = createHash('sha256')
    .update(JSON.stringify(parts))
    .digest('hex')
    .slice(0, hashLength);
  return join(stateBaseDirectory(), `${verb}-${category}-${hash}`);
}

/** What a pipeline is called by the directory of its state, which no other one of this machine has. */
export function nameOfState(directory: string): string {
  const path = resolve(directory);
  const name = basename(path);
  if (dirname(path) === resolve(stateBaseDirectory())) return name;
  // Elsewhere there may be another one with the same last part.
  return `${name}-${createHash('sha256')
    .update(path)
    .digest('hex')
    .slice(0, hashLength / 2)}`;
}

/** The state of a pipeline that runs: its directory is this process's alone. */
export interface PipelineState {
  readonly journal: StateJournal;
  close(): Promise<void>;
}

/** Takes and opens a state directory, which is made when it does not exist. Throws `directory_in_use` or `directory_invalid`. */
export async function openPipelineState(directory: string): Promise<PipelineState> {
  const path = resolve(directory);
  try {
    await nodeDisk.makeDirectory(path);
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `State directory ${path} cannot be made (${errorMessage(cause)}): choose one that this user may write to with --state.`,
      { cause },
    );
  }
  const lock = await DirectoryLock.take(path, 'another run of the same pipeline');
  try {
    const journal = await StateJournal.open(nodeDisk, join(path, stateJournalName));
    const close = async (): Promise<void> => {
      await journal.close();
      await lock.release();
    };
    return { journal, close };
  } catch (error) {
    await lock.release();
    if (error instanceof ChukchaError) throw error;
    throw new ChukchaError(
      'directory_invalid',
      `The state in ${path} cannot be opened (${errorMessage(error)}): make room there, or choose another directory with --state.`,
      { cause: error },
    );
  }
}
