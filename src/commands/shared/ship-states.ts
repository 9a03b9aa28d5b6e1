import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StateJournal } from '../../pipeline/state-journal.js';
import { StateSection, StateSnapshot } from '../../pipeline/state-section.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { nodeDisk } from '../../storage/node-disk.js';
import { stateBaseDirectory, stateJournalName } from './pipeline-state.js';

/** What a shipper says of itself in its state. */
export interface ShipAbout {
  /** The input, as it was given. */
  readonly from: string;
  readonly category: string;
  readonly server: string;
}

const aboutKey = 'about';

/** A state directory of a shipper, as it is now. */
export interface ShipState {
  readonly directory: string;
  readonly about: ShipAbout;
  /** What its input remembers. */
  readonly input: StateSnapshot;
}

/** Remembers what the state is for, so that it can be looked at without the words that it was made with. */
export function rememberAbout(journal: StateJournal, about: ShipAbout): Promise<void> {
  return new StateSection(journal, 'ship').set(aboutKey, about);
}

/**
 * The states of shippers: the one in the directory, or all in the user's state directory. Works beside those that run.
 * Throws `directory_invalid` for a directory that has none.
 */
export async function findShipStates(directory: string | undefined): Promise<ShipState[]> {
  if (directory !== undefined) {
    const found = await readShipState(resolve(directory));
    if (found !== undefined) return [found];
    throw new ChukchaError(
      'directory_invalid',
      `${resolve(directory)} is not the state directory of a shipper: give the one that ship --state was given.`,
    );
  }
  const base = stateBaseDirectory();
  const names = await readdir(base).catch(() => []);
  const states = await Promise.all(names.sort().map((name) => readShipState(join(base, name))));
  return states.filter((state) => state !== undefined);
}

async function readShipState(directory: string): Promise<ShipState | undefined> {
  const entries = await StateJournal.read(nodeDisk, join(directory, stateJournalName));
  const about = new StateSnapshot(entries, 'ship').get(aboutKey) as ShipAbout | undefined;
  if (about === undefined) return undefined;
  return { directory, about, input: new StateSnapshot(entries, 'input') };
}
