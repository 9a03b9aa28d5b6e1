import {
  type InputPositions,
  PluginError,
  type PluginState,
  type SourcePosition,
} from '@chukcha/plugin-api';
import { type Checkpoint, formatCheckpoint, parseCheckpoint } from './checkpoint.js';
import { createGenerationId } from './generation-id.js';
import { decideIdentity, fingerprintOf, markerBytesMax } from './identity.js';
import { OpenedFile } from './opened-file.js';

/** The places that this input keeps in a state. Those that the first version wrote have `dev:ino` as their id. */
export function positions(state: PluginState): InputPositions {
  return {
    list: () => readAll(state).map(({ id, path: source, offset }) => ({ source, id, offset })),
    set: (id, offset) => setPosition(state, id, offset),
    forget: async (id) => {
      find(state, id);
      await state.set(id, undefined);
    },
  };
}

function readAll(state: PluginState): Checkpoint[] {
  return [...state.entries()].flatMap(
    ([key, value]) => parseCheckpoint(key, value, () => key) ?? [],
  );
}

function find(state: PluginState, id: string): Checkpoint & SourcePosition {
  const found = parseCheckpoint(id, state.get(id), () => id);
  if (found !== undefined) return { ...found, source: found.path };
  throw new PluginError(
    'operator',
    `There is no position with the id ${JSON.stringify(id)}: list the positions to see which there are.`,
  );
}

/**
 * Messages that are sent again from an earlier place have the ids that they had, as long as the file's bytes are
 * the messages; where they were converted or cut, the place before cannot be counted again, and the generation gets
 * a new id.
 */
async function setPosition(state: PluginState, id: string, offset: number): Promise<void> {
  const known = find(state, id);
  if (!Number.isSafeInteger(offset) || offset < 0) throw noSuchPlace(known.path, offset);
  const opened = await openKnown(known);
  try {
    const verdict = decideIdentity(known, await opened.lookFor(known));
    if (verdict !== 'same' && verdict !== 'continued') {
      throw new PluginError(
        'operator',
        `${known.path} has other contents than those of the position ${id}: forget the position to have the file read anew.`,
      );
    }
    const tail = Buffer.alloc(Math.min(markerBytesMax, offset));
    const found = await opened.source.read(tail, offset - tail.length);
    if (found < tail.length) throw noSuchPlace(known.path, offset);
    const isCounted = known.given === known.offset && known.islands.length === 0;
    const newId = isCounted && !id.includes(':') ? id : createGenerationId();
    const { key, born } = opened.status;
    const head = fingerprintOf(opened.readHead());
    const place = { offset, given: offset, head, marker: fingerprintOf(tail), islands: [] };
    const { path, modifiedMs } = known;
    const checkpoint = { version: 2 as const, id: newId, path, key, born, modifiedMs, ...place };
    await state.set(newId, formatCheckpoint(checkpoint));
    if (newId !== id) await state.set(id, undefined);
  } finally {
    await opened.source.close();
  }
}

function noSuchPlace(path: string, offset: number): PluginError {
  return new PluginError(
    'operator',
    `${path} has no offset ${offset}: expected a whole number of bytes within its contents.`,
  );
}

async function openKnown({ path }: Checkpoint): Promise<OpenedFile> {
  try {
    return await OpenedFile.open(path);
  } catch (cause) {
    throw new PluginError(
      'operator',
      `${path} cannot be opened (${(cause as Error).message}), and its place can only be set when it is there.`,
      { cause },
    );
  }
}
