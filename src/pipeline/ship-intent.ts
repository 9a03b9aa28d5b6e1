import type { JsonValue } from '@chukcha/plugin-api';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type { ProducerStamp } from '../protocol/http-api.js';
import { checkProducerName } from '../protocol/names.js';
import type { LineFormatName } from './formats/line-format.js';
import type { StateSection } from './state-section.js';

/** A piece of what an input has given: the bytes from `from` to `to` of the batch that the range stands for. */
export interface IntentPart {
  readonly range: JsonValue;
  readonly from: number;
  readonly to: number;
}

/**
 * A write that is about to be sent, remembered before it is: after a kill nobody knows whether the bus has it, and the same
 * bytes under the same stamp are stored once.
 */
export interface ShipIntent {
  readonly category: string;
  readonly stamp: ProducerStamp;
  readonly format: LineFormatName;
  /** The time that the format has put into the messages, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly parts: readonly IntentPart[];
}

/**
 * The intents of a shipper in its state. They survive a kill of the process. A crash of the machine may bring older ones
 * back: they are sent again then, and answered as repetitions.
 */
export class ShipIntents {
  readonly #state: StateSection;

  constructor(state: StateSection) {
    this.#state = state;
  }

  /** What earlier runs have left, by producer and sequence. Throws `directory_invalid` for what is no intent. */
  list(): ShipIntent[] {
    return [...this.#state.entries()]
      .filter(([key]) => key.startsWith(keyPrefix))
      .map(([key, value]) => checkIntent(key, value))
      .sort(compareIntents);
  }

  save(intent: ShipIntent): Promise<void> {
    return this.#state.set(keyOf(intent), intent);
  }

  remove(intent: ShipIntent): Promise<void> {
    return this.#state.set(keyOf(intent), undefined);
  }
}

const keyPrefix = 'intent/';

function keyOf({ stamp }: ShipIntent): string {
  return `${keyPrefix}${stamp.producer}/${stamp.sequence}`;
}

function compareIntents({ stamp: left }: ShipIntent, { stamp: right }: ShipIntent): number {
  if (left.producer === right.producer) return left.sequence - right.sequence;
  return left.producer < right.producer ? -1 : 1;
}

function checkIntent(key: string, value: unknown): ShipIntent {
  const intent = value as Partial<ShipIntent> | null;
  const isIntent =
    typeof intent?.category === 'string' &&
    typeof intent.timeMs === 'number' &&
    Number.isSafeInteger(intent.stamp?.sequence) &&
    Array.isArray(intent.parts);
  if (isIntent) {
    checkProducerName(String(intent.stamp?.producer));
    return intent as ShipIntent;
  }
  throw new ChukchaError(
    'directory_invalid',
    `The entry ${key} in the state directory is not a write that was about to be sent (${JSON.stringify(value).slice(0, 80)}): remove the directory to read everything again.`,
  );
}
