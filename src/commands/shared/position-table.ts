import type { InputPositions, PluginState, SourcePosition } from '@chukcha/plugin-api';
import { parsePluginAddress } from '../../plugin-host/plugin-options.js';
import type { PluginRegistry } from '../../plugin-host/plugin-registry.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import type { ShipState } from './ship-states.js';

/** A position, and the shipper that it belongs to. */
export interface PlacedPosition extends SourcePosition {
  readonly state: ShipState;
}

/** What the input of a shipper remembers; `undefined` when its kind keeps no positions. */
export async function openPositions(
  registry: PluginRegistry,
  { about, input }: { readonly about: ShipState['about']; readonly input: PluginState },
): Promise<InputPositions | undefined> {
  const { name } = parsePluginAddress(about.from);
  const module = await registry.input(name).descriptor.load();
  return module.positions?.(input);
}

export async function listPositions(
  registry: PluginRegistry,
  states: readonly ShipState[],
): Promise<PlacedPosition[]> {
  const lists = await Promise.all(
    states.map(async (state) => {
      const positions = await openPositions(registry, state);
      return (positions?.list() ?? []).map((position) => ({ ...position, state }));
    }),
  );
  return lists.flat();
}

/** The one position that a source or an id means. Throws `invalid_option` when that is none or several. */
export function choosePosition(positions: readonly PlacedPosition[], text: string): PlacedPosition {
  const found = positions.filter(({ source, id }) => source === text || id === text);
  const [first, ...others] = found;
  if (first === undefined) {
    throw new ChukchaError(
      'invalid_option',
      `There is no position of ${JSON.stringify(text)}: \`chukcha positions ls\` lists the sources and their ids.`,
    );
  }
  if (others.length === 0) return first;
  const list = found.map(({ id, state }) => `${id} in ${state.directory}`).join(', ');
  throw new ChukchaError(
    'invalid_option',
    `${JSON.stringify(text)} means ${found.length} positions (${list}): give the id, or --state DIRECTORY.`,
  );
}
