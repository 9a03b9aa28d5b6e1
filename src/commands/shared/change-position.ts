import type { InputPositions } from '@chukcha/plugin-api';
import { StateSection } from '../../pipeline/state-section.js';
import type { HookRunner } from '../../plugin-host/plugin-registry.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { openPipelineState } from './pipeline-state.js';
import { findPlugins } from './plugins.js';
import {
  choosePosition,
  listPositions,
  openPositions,
  type PlacedPosition,
} from './position-table.js';
import { findShipStates } from './ship-states.js';

/**
 * Changes a position of a shipper that does not run; returns what it was. Throws `directory_in_use` when it runs, and what
 * `choosePosition` throws.
 */
export async function changePosition(
  command: { readonly config: HookRunner; readonly say: (sentence: string) => void },
  { source, state }: { readonly source: string; readonly state: string | undefined },
  change: (positions: InputPositions, position: PlacedPosition) => Promise<void>,
): Promise<PlacedPosition> {
  const registry = await findPlugins(command.config, command.say);
  const chosen = choosePosition(await listPositions(registry, await findShipStates(state)), source);
  const opened = await openPipelineState(chosen.state.directory);
  try {
    const input = new StateSection(opened.journal, 'input');
    const positions = await openPositions(registry, { about: chosen.state.about, input });
    if (positions === undefined) {
      throw new ChukchaError('invalid_option', `The input of ${source} keeps no positions.`);
    }
    await change(positions, chosen);
  } finally {
    await opened.close();
  }
  return chosen;
}
