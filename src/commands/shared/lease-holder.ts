import { hostname } from 'node:os';
import { crc32, formatCrc32 } from '../../common/crc32.js';
import { systemRandom } from '../../common/random.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { StateSection } from '../../pipeline/state-section.js';

const holderKey = 'holder';

/** Tells apart two states that lie at the same path of two machines of one name. */
const idBytes = 4;

/**
 * The name under which a sink holds the lease of its group: that of its state, which one process has at a time. A run after
 * a kill has the name of the killed one, and need not wait until its lease ends. A state that was copied has another name,
 * as long as it lies elsewhere.
 */
export async function leaseHolder(state: StateJournal): Promise<string> {
  const section = new StateSection(state, 'sink');
  let id = section.get(holderKey);
  if (typeof id !== 'string') {
    id = systemRandom.hex(idBytes);
    await section.set(holderKey, id);
  }
  const host = hostname().replaceAll(/[^A-Za-z0-9_-]/g, '-');
  return `${host}-${formatCrc32(crc32(state.path))}-${id}`;
}
