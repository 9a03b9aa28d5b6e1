import { setTimeout as delay } from 'node:timers/promises';
import type { BatchingAdvice } from '@chukcha/plugin-api';

const MIB = 1024 * 1024;

/** As much as a server parses in one piece; above it, time is won only where rows are few. */
const bytesMaxDefault = 8 * MIB;
/** What two inserts and their compressed bodies may take of memory, when the server asks for larger ones. */
const bytesMaxMost = 64 * MIB;

/** The most rows that servers take as one block by default, rounded down. */
const messagesMax = 1_000_000;

/** An insert a second makes fewer parts than a server merges. */
const lingerMsDefault = 1_000;
const lingerMsMost = 8_000;
/** Where the server gathers by itself, waiting here as well is of no use. */
const lingerMsAsync = 100;

const waitMsDefault = 1_000;

/** Three doublings: 64 MiB and 8 s. */
const levelMax = 3;

/** The server has merged for some minutes by then. */
const successesForFewer = 200;

/**
 * How large inserts are to be. Each time the server says that the table has too many parts, they are to be twice as
 * large and to come half as often, up to a limit; after many inserts without that, half as large again.
 */
export class InsertPace {
  readonly #insertsMax: number;
  readonly #lingerMs: number;
  #level = 0;
  #successCount = 0;

  constructor(insertsMax: number, asyncInsert: boolean) {
    this.#insertsMax = insertsMax;
    this.#lingerMs = asyncInsert ? lingerMsAsync : lingerMsDefault;
  }

  get advice(): BatchingAdvice {
    const factor = 2 ** this.#level;
    return {
      bytesMax: Math.min(bytesMaxDefault * factor, bytesMaxMost),
      messagesMax,
      lingerMs: Math.min(this.#lingerMs * factor, lingerMsMost),
      inFlightMax: this.#level === 0 ? this.#insertsMax : 1,
    };
  }

  succeeded(): void {
    if (this.#level === 0) return;
    this.#successCount += 1;
    if (this.#successCount < successesForFewer) return;
    this.#successCount = 0;
    this.#level -= 1;
  }

  /** The server has too many parts. Resolves when it had some time to merge; rejects when the signal aborts. */
  async slowDown(signal: AbortSignal): Promise<void> {
    const waitMs = waitMsDefault * 2 ** this.#level;
    this.#level = Math.min(this.#level + 1, levelMax);
    this.#successCount = 0;
    await delay(waitMs, undefined, { signal });
  }
}
