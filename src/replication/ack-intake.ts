import type { Logger } from '../common/logger.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { type AcksMessage, parseMessage } from '../protocol/replication.js';
import { checkAckRecords } from '../storage/ack-states.js';
import { checkSizes, type ForeignAcks } from '../storage/group-book.js';
import type { Store } from '../storage/store.js';

export interface AckIntakeParts {
  readonly peer: string;
  readonly store: Store;
  readonly log: Logger;
}

interface PendingAcks extends ForeignAcks {
  readonly next: number;
}

/**
 * Takes in what one peer knows of acknowledgements. What comes for a category while an earlier word of it is being
 * recorded waits, and only the last one is recorded then: it says all that those before it said.
 */
export class AckIntake {
  readonly #parts: AckIntakeParts;
  readonly #onTaken: (category: string, next: number) => void;
  readonly #pending = new Map<string, PendingAcks>();
  /** What could not be recorded, by category, and is tried again. */
  readonly #failed = new Map<string, PendingAcks>();
  #running: Promise<void> | undefined;

  /** @param onTaken called when all that came for a category up to a number is durable here */
  constructor(parts: AckIntakeParts, onTaken: (category: string, next: number) => void) {
    this.#parts = parts;
    this.#onTaken = onTaken;
  }

  /** Throws `invalid_frame`. */
  take(payload: Buffer): void {
    const message = parseMessage<AcksMessage>(payload, ({ groups, expired, sizes, next }) => {
      checkAckRecords({ groups, expired });
      checkSizes(sizes);
      return Number.isSafeInteger(next);
    });
    const records = checkAckRecords({ groups: message.groups, expired: message.expired });
    const { category } = message;
    const before = this.#pending.get(category) ?? this.#failed.get(category);
    this.#failed.delete(category);
    const sizes = [...(before?.sizes ?? []), ...checkSizes(message.sizes)];
    this.#pending.set(message.category, { records, sizes, next: message.next });
    this.#running ??= this.#run();
  }

  /** Tries again what could not be recorded. */
  retry(): void {
    for (const [name, acks] of this.#failed)
      if (!this.#pending.has(name)) this.#pending.set(name, acks);
    this.#failed.clear();
    if (this.#pending.size > 0) this.#running ??= this.#run();
  }

  async settle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const [name, { next, ...foreign }] of this.#pending) {
      this.#pending.delete(name);
      try {
        const category = await this.#parts.store.category(name);
        await category.mergeAcks(foreign);
        this.#onTaken(name, next);
      } catch (error) {
        this.#keep(name, { next, ...foreign });
        this.#parts.log.warn('Acknowledgements from a peer could not be recorded.', {
          peer: this.#parts.peer,
          category: name,
          error: errorMessage(error),
        });
      }
    }
    this.#running = undefined;
  }

  /** What came meanwhile says all that this one said, but for its sizes. */
  #keep(name: string, failed: PendingAcks): void {
    const newer = this.#pending.get(name);
    if (newer === undefined) this.#failed.set(name, failed);
    else this.#pending.set(name, { ...newer, sizes: [...failed.sizes, ...newer.sizes] });
  }
}
