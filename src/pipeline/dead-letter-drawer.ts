import { createHash } from 'node:crypto';
import type { Client } from '../client/client.js';
import { Consumer } from '../client/consumer.js';
import type { ConsumerBatch } from '../client/consumer-options.js';
import { errorCode } from '../protocol/chukcha-error.js';
import { parseChunkName } from '../protocol/names.js';
import { type DeadLetter, DeadLetterParser, formatDeadLetter } from './dead-letter.js';

/** The group that the letters which were seen to are acknowledged for. */
const drawerGroup = 'dlq';

const NEWLINE = 0x0a;

/**
 * What becomes of a letter: it is seen to, or it stays, as it is or with what went wrong now.
 */
export type LetterFate =
  | { readonly kind: 'done' }
  | { readonly kind: 'kept'; readonly letter?: DeadLetter };

export interface DrawerTotals {
  done: number;
  kept: number;
  /** Lines that are no letters; they stay. */
  strange: number;
}

interface PlacedLetter {
  /** `undefined` for a line that is no letter. */
  readonly letter: DeadLetter | undefined;
  readonly line: string;
  /** Tells the letter from all others in the category, also from an earlier form of itself. */
  readonly place: string;
}

/** The dead letters of a category: to look at, and to see to. */
export class DeadLetterDrawer {
  readonly #client: Client;
  readonly #category: string;

  /** @param category the category of dead letters */
  constructor(client: Client, category: string) {
    this.#client = client;
    this.#category = category;
  }

  /** The letters that nobody has seen to yet; `undefined` for each line that is none. */
  async *letters(signal: AbortSignal): AsyncGenerator<DeadLetter | undefined> {
    for await (const { placed } of this.#read(signal, false)) {
      for (const { letter } of placed) yield letter;
    }
  }

  /**
   * Asks of each letter what becomes of it. Those that stay are written anew before the old ones are acknowledged, so
   * after a kill some may be asked of again, and none is lost. Letters in chunks that a node which was not named still
   * writes to stay until they are sealed.
   */
  async seeTo(
    decide: (letter: DeadLetter) => Promise<LetterFate>,
    signal: AbortSignal,
  ): Promise<DrawerTotals> {
    const totals: DrawerTotals = { done: 0, kept: 0, strange: 0 };
    await this.#seal(signal);
    for await (const { placed, batch } of this.#read(signal, true)) {
      for (const { letter, line, place } of placed) {
        const fate: LetterFate = letter === undefined ? { kind: 'kept' } : await decide(letter);
        if (fate.kind === 'done') {
          totals.done += 1;
          continue;
        }
        if (letter === undefined) totals.strange += 1;
        else totals.kept += 1;
        const kept = fate.letter ?? letter;
        await this.#keep(
          kept === undefined ? Buffer.from(`${line}\n`) : formatDeadLetter(kept),
          place,
        );
      }
      batch.ack();
    }
    return totals;
  }

  /** Only a sealed chunk can be acknowledged. */
  async #seal(signal: AbortSignal): Promise<void> {
    for (const server of this.#client.servers) {
      await this.#client.seal(this.#category, { server, signal });
    }
  }

  async #keep(lines: Buffer, place: string): Promise<void> {
    const hash = createHash('sha256').update(place).digest('hex').slice(0, 32);
    const stamp = { producer: `dk-${hash}`, sequence: 0 };
    await this.#client.write(this.#category, [lines], { stamp }).catch((error: unknown) => {
      // It was kept before, with another reason.
      if (errorCode(error) !== 'sequence_reused') throw error;
    });
  }

  async *#read(
    signal: AbortSignal,
    acknowledge: boolean,
  ): AsyncGenerator<{ readonly placed: readonly PlacedLetter[]; readonly batch: ConsumerBatch }> {
    const consumer = new Consumer(this.#client, {
      category: this.#category,
      group: drawerGroup,
      acknowledge,
      untilEnd: true,
      giveUpAfterMs: 0,
    });
    const stop = (): void => void consumer.close();
    signal.addEventListener('abort', stop, { once: true });
    const parsers = new Map<string, DeadLetterParser>();
    try {
      for await (const batch of consumer) {
        const owner = parseChunkName(batch.chunk)?.owner ?? '';
        const parser = parsers.get(owner) ?? new DeadLetterParser();
        parsers.set(owner, parser);
        yield { placed: lettersOf(batch, parser), batch };
        if (!acknowledge) batch.ack();
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}

function lettersOf(
  { bytes, chunk, offset }: ConsumerBatch,
  parser: DeadLetterParser,
): PlacedLetter[] {
  const placed: PlacedLetter[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, start);
    const line = bytes.toString('utf8', start, end);
    const strange = parser.strangeCount;
    const letter = parser.take(line);
    const isStrange = parser.strangeCount > strange;
    if (letter !== undefined || isStrange) {
      placed.push({ letter, line, place: `${chunk}/${offset + start}` });
    }
    start = end + 1;
  }
  return placed;
}
