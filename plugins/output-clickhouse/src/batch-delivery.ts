import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MessageFailure, OutputBatch, WriteOutcome } from '@chukcha/plugin-api';
import { kindOf } from './classify-error.js';
import { firstBytes, MessageRows } from './message-rows.js';
import { ServerError } from './server-error.js';
import { subsetToken } from './subset-token.js';

/** How many inserts one call makes at most: as many as there are halvings of a million, and some more. */
const insertsMaxDefault = 32;

/** Servers parse larger bodies in several parts at once (since 20.1: 1 or 10 MiB each), and then count rows as they like. */
const orderedBytesMax = 1024 * 1024;

const BRACE = 0x7b;

/** How much of such a message its reason shows. */
const strangerTextLengthMax = 40;

/** Some messages of a batch as one insert. */
export interface Rows {
  readonly pieces: readonly Uint8Array[];
  readonly messageCount: number;
  readonly token: string;
  /** They have to be parsed from the first to the last, so that row numbers are right. */
  readonly ordered: boolean;
}

export interface BatchDeliveryOptions {
  /** Every message has to be one JSON object. */
  readonly json: boolean;
  /** Messages that make no row, and why they are refused. The server passes over them when they come with others. */
  readonly rowless: {
    readonly find: (bytes: Uint8Array) => readonly number[];
    readonly reason: string;
  };
  /** Turns a refusal of single messages into their reason. */
  readonly reasonOf: (error: unknown) => string;
  readonly insertsMax?: number;
}

/** Messages that go as one insert next; `unknown` when it cannot be told who is to blame. */
type NextParts = (readonly number[])[] | 'unknown';

/**
 * One batch on its way. The whole batch is one insert. When the server refuses that for its data, nothing of it is
 * stored, and the delivery finds out which messages are to blame:
 *
 * - the refusal names a row: its message is left out, and the rest is sent as one insert again
 * - the number cannot be trusted: the doubtful message is sent by itself
 * - there is no number: the host halves the batch, or this does when some of it is stored already
 *
 * What is left out and what is stored outlives a failed call, so that the next call for the same batch sends the same
 * rests under the same tokens.
 */
export class BatchDelivery {
  readonly #options: BatchDeliveryOptions;
  readonly #refused = new Map<number, string>();
  readonly #stored = new Set<number>();
  /** What is to be sent, as single inserts, the next one last. */
  readonly #parts: (readonly number[])[] = [];
  /** The whole batch was refused as it is. */
  #isTakenApart = false;
  #isLookedThrough = false;
  /** The messages that the host still has to hear of; undefined for all. */
  #only: ReadonlySet<number> | undefined;
  #strangersAreOut = false;
  /** All messages before this index are whole objects, or refused. */
  #objectsUpTo = 0;

  constructor(options: BatchDeliveryOptions) {
    this.#options = options;
  }

  /** Throws what `insert` threw when it was not about single messages that can be found here. */
  async run(
    batch: OutputBatch,
    insert: (rows: Rows) => Promise<void>,
  ): Promise<WriteOutcome | undefined> {
    const { bytes, messageCount, token, only } = batch;
    let refusal: unknown;
    if (only === undefined && !this.#isTakenApart) {
      // A batch of rowless messages alone begins with one, and is no insert.
      if (firstBytes(bytes, 1).length === 0) this.#refuseRowless(bytes);
      if (this.#refused.size === messageCount) return this.#outcome([]);
      try {
        const inserted = insert({ pieces: [bytes], messageCount, token, ordered: false });
        inserted.catch(() => undefined);
        // The bytes are looked at while they are on their way: that takes a quarter of the time of sending them.
        await nextTurn();
        this.#refuseRowless(bytes);
        await inserted;
        return this.#outcome([]);
      } catch (error) {
        if (kindOf(error) !== 'data') throw error;
        refusal = error;
      }
    }
    this.#refuseRowless(bytes);
    const rows = new MessageRows(bytes);
    this.#only = only && new Set(only);
    return this.#deliverParts(rows, batch, only ?? [...Array(rows.count).keys()], refusal, insert);
  }

  #refuseRowless(bytes: Uint8Array): void {
    if (this.#isLookedThrough) return;
    this.#isLookedThrough = true;
    const { find, reason } = this.#options.rowless;
    for (const index of find(bytes)) this.#refused.set(index, reason);
  }

  /** Sends what is wanted part by part, first what the refusal of the whole leaves of it. */
  async #deliverParts(
    rows: MessageRows,
    batch: OutputBatch,
    wanted: readonly number[],
    refused: unknown,
    insert: (rows: Rows) => Promise<void>,
  ): Promise<WriteOutcome | undefined> {
    const insertsMax = this.#options.insertsMax ?? insertsMaxDefault;
    const parts = this.#parts;
    if (parts.length === 0) parts.push(wanted);
    let refusal = refused;
    let error = refused;
    for (let insertCount = 0; ; insertCount += 1) {
      const left = this.#withoutSettled(parts.pop() ?? []);
      if (left.length > 0 && error === undefined) {
        if (insertCount >= insertsMax) return this.#giveUp(refusal, [...left, ...parts.flat()]);
        error = await this.#insertPart(rows, batch, left, insert);
      }
      if (error !== undefined) {
        const isOrdered = error !== refused || batch.bytes.length <= orderedBytesMax;
        this.#isTakenApart = true;
        const next = isOrdered ? this.#takeApart(rows, left, error) : [left];
        if (next === 'unknown' && !this.#hasStored) throw error;
        parts.push(...(next === 'unknown' ? halves(left) : next));
        refusal = error;
        error = undefined;
      }
      if (parts.length === 0) return this.#outcome([]);
    }
  }

  /** While nothing is stored the host can halve the batch, and remember that. */
  #giveUp(refusal: unknown, left: readonly number[]): WriteOutcome | undefined {
    if (!this.#hasStored && refusal !== undefined) throw refusal;
    this.#parts.length = 0;
    return this.#outcome(left);
  }

  /** Some messages of the batch are in the table, so that it must not become another insert as a whole. */
  get #hasStored(): boolean {
    return this.#stored.size > 0 || this.#only !== undefined;
  }

  /** Undefined when the messages are stored, else their refusal; throws everything else. */
  async #insertPart(
    rows: MessageRows,
    batch: OutputBatch,
    indexes: readonly number[],
    insert: (rows: Rows) => Promise<void>,
  ): Promise<unknown> {
    try {
      await insert({
        pieces: rows.pieces(indexes),
        messageCount: indexes.length,
        token: subsetToken(batch.token, rows.count, indexes),
        ordered: true,
      });
    } catch (error) {
      if (kindOf(error) === 'data') return error;
      // It may be stored, so the next try begins with exactly this part.
      this.#parts.push(indexes);
      throw error;
    }
    for (const index of indexes) this.#stored.add(index);
    return undefined;
  }

  #takeApart(rows: MessageRows, left: readonly number[], error: unknown): NextParts {
    const [first] = left;
    if (left.length === 1 && first !== undefined) return this.#refuse(first, left, error);
    const row = error instanceof ServerError ? error.row : undefined;
    if (row === undefined) return 'unknown';
    if (this.#options.json) {
      if (this.#refuseStrangers(rows, left)) return [left];
      const doubtful = this.#findDoubtful(rows, left, row);
      // Sent by itself it is taken or refused for what it is, before the others.
      if (doubtful !== undefined) return [left, [doubtful]];
    }
    const index = left[row - 1];
    return index === undefined ? 'unknown' : this.#refuse(index, left, error);
  }

  #refuse(index: number, left: readonly number[], error: unknown): NextParts {
    this.#refused.set(index, this.#options.reasonOf(error));
    return [left];
  }

  /**
   * Refuses all messages at once that do not begin as an object does: no server makes a row of one, and there may be many.
   * False when there were none.
   */
  #refuseStrangers(rows: MessageRows, left: readonly number[]): boolean {
    if (this.#strangersAreOut) return false;
    this.#strangersAreOut = true;
    const strangers = left.filter((index) => firstBytes(rows.at(index), 1)[0] !== BRACE);
    for (const index of strangers) {
      const start = JSON.stringify(rows.text(index).slice(0, strangerTextLengthMax));
      this.#refused.set(
        index,
        `The message is no JSON object: it begins with ${start}, expected {.`,
      );
    }
    return strangers.length > 0;
  }

  /**
   * The first message up to the row that is not one whole object. Servers read over the ends of lines, and take several
   * objects in one, so that behind such a message rows are not messages.
   */
  #findDoubtful(rows: MessageRows, left: readonly number[], row: number): number | undefined {
    for (const index of left.slice(0, row)) {
      if (index < this.#objectsUpTo) continue;
      if (!isObject(rows.text(index))) return index;
      this.#objectsUpTo = index + 1;
    }
    return undefined;
  }

  #withoutSettled(indexes: readonly number[]): readonly number[] {
    return indexes.filter((index) => !this.#refused.has(index) && !this.#stored.has(index));
  }

  #outcome(left: readonly number[]): WriteOutcome | undefined {
    const failures: MessageFailure[] = [...this.#refused]
      .filter(([index]) => this.#only?.has(index) ?? true)
      .sort(([one], [other]) => one - other)
      .map(([index, reason]) => ({ index, reason }));
    const reason = 'The message was not reached while others of its batch were refused.';
    // A doubtful message stands in two parts.
    const later = new Set(this.#withoutSettled(left).toSorted((one, other) => one - other));
    for (const index of later) failures.push({ index, reason, kind: 'transient' });
    return failures.length === 0 ? undefined : { failures };
  }
}

function halves(left: readonly number[]): (readonly number[])[] {
  const middle = Math.ceil(left.length / 2);
  return [left.slice(middle), left.slice(0, middle)];
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
