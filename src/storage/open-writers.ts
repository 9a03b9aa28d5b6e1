import type { ChukchaError } from '../protocol/chukcha-error.js';
import type { ChunkWriter } from './chunk-writer.js';
import type { DiskGuard } from './disk-guard.js';
import type { Flushable, Flusher } from './flusher.js';

export interface OpenWritersPorts {
  readonly flusher: Flusher;
  readonly guard: DiskGuard;
  /**
   * Called when a sealed chunk is durable. Resolves with whether its index may say so: whatever else must be
   * durable before that is.
   */
  readonly onDurable: (chunk: string) => Promise<boolean>;
  /** Runs something while no writer of these appends. */
  readonly exclusively: (task: () => Promise<void>) => Promise<void>;
}

/**
 * The writers whose files are open: with bytes or a name that are not durable yet, or written to of late. Makes
 * them durable in the background, ends the indexes of sealed chunks, and closes the files.
 */
export class OpenWriters implements Flushable {
  readonly #ports: OpenWritersPorts;
  readonly #writers = new Set<ChunkWriter>();

  constructor(ports: OpenWritersPorts) {
    this.#ports = ports;
  }

  /** To be called when the writer has written, or sealed its chunk. */
  mark(writer: ChunkWriter): void {
    this.#writers.add(writer);
    this.#ports.flusher.markDirty(this);
  }

  /** Lets go of a writer whose chunk is gone. */
  forget(writer: ChunkWriter): void {
    this.#writers.delete(writer);
  }

  /** Makes what was written durable, and closes the files of chunks that are sealed or idle. */
  async flush(): Promise<void> {
    const { flusher, guard, exclusively } = this.#ports;
    for (const writer of [...this.#writers]) {
      try {
        await this.#flushWriter(writer);
        // What came meanwhile has a flush of its own to come.
        if (writer.isAtRest) this.#writers.delete(writer);
        else flusher.markDirty(this);
      } catch (error) {
        if (writer.hasFailed) {
          this.#writers.delete(writer);
          guard.stop(error as ChukchaError);
          // An append that is under way must not find the number of its file in the hands of another one.
          await exclusively(() => writer.close());
        } else flusher.markDirty(this);
      }
    }
  }

  /** Makes what was written durable; the files stay open. Throws `storage_failed`, also when an earlier sync failed. */
  async syncAll(): Promise<void> {
    for (const writer of [...this.#writers]) await this.sync(writer);
    this.#ports.guard.requireSynced();
  }

  /** As `syncAll`, of one writer. */
  async sync(writer: ChunkWriter): Promise<void> {
    try {
      await writer.sync();
    } catch (error) {
      if (writer.hasFailed) this.#ports.guard.stop(error as ChukchaError);
      throw error;
    }
  }

  async #flushWriter(writer: ChunkWriter): Promise<void> {
    // One that is sealed meanwhile may have grown before that; its own flush is still to come.
    const isFinal = writer.chunk.state !== 'open';
    await writer.sync();
    if (!isFinal) {
      await writer.closeIfIdle();
      return;
    }
    if (await this.#ports.onDurable(writer.chunk.name)) await writer.writeSeal();
    await writer.close();
  }
}
