import type { Logger } from '../common/logger.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { type ChunkName, checkChunkName, formatChunkName } from '../protocol/names.js';
import type { Chunk } from './chunk.js';
import type { Pace } from './chunk-check.js';
import { checkSealedChunk, remakeIndex } from './chunk-health.js';
import type { DamageCounts } from './damage-counts.js';
import type { Disk } from './disk.js';
import { moveAside, type SalvageTarget, salvageChunk } from './quarantine.js';
import type { ChunkFiles } from './recovery.js';

export interface DamagedChunksPorts extends SalvageTarget {
  readonly disk: Disk;
  readonly log: Logger;
  readonly quarantineDirectory: string;
  readonly damage: DamageCounts;
  /** Runs something while no acknowledgement changes. */
  readonly exclusively: (task: () => Promise<void>) => Promise<void>;
  /** Takes the chunk out of the list. */
  readonly forget: (chunk: Chunk) => void;
  /** Whether a peer has the chunk as it was sealed, so that it can be fetched again. */
  readonly isHeldElsewhere: (chunk: Chunk) => boolean;
}

/** What is done about the damaged chunks of a category: one is never deleted, and what is intact of it is kept. */
export class DamagedChunks {
  readonly #ports: DamagedChunksPorts;
  /** Not in the list, and not to be taken for acknowledged: could not be saved yet, or is fetched again. */
  readonly #hidden = new Map<string, ChunkName>();

  constructor(ports: DamagedChunksPorts) {
    this.#ports = ports;
  }

  /** Damaged chunks that no reader sees for now, by name. */
  get hidden(): readonly ChunkName[] {
    return [...this.#hidden.values()];
  }

  /** To be called when the chunk is here again, or is not wanted any more. */
  forgetHidden(chunkName: string): void {
    this.#hidden.delete(chunkName);
  }

  /**
   * Compares a sealed chunk with its checksums. A damaged one is moved aside, and fetched again from a peer, or its
   * intact batches are stored again at the end of the category; one without its file is reported. Rejects when it
   * cannot be read.
   *
   * @param pace called with the bytes of each read; the check goes on when it resolves
   */
  async check(chunk: Chunk, files: ChunkFiles, pace: Pace): Promise<void> {
    const { disk, log, exclusively } = this.#ports;
    const { scrubFindings } = this.#ports.damage;
    const fields = { category: files.category, chunk: chunk.name };
    let health = await checkSealedChunk(disk, files, pace);
    // Looked at once more, because what was read may have been damaged on its way from the disk.
    if (health.kind === 'damaged') health = await checkSealedChunk(disk, files, pace);
    await exclusively(async () => {
      if (chunk.state !== 'sealed') return;
      if (health.kind === 'missing') {
        scrubFindings.missing += 1;
        log.error('The file of a chunk is missing: put it back, or acknowledge the chunk.', fields);
      } else if (health.kind === 'index damaged') {
        scrubFindings.indexDamaged += 1;
        await remakeIndex(disk, files, health.seal);
        log.warn('The index of a chunk was damaged and was made again.', fields);
      } else if (health.kind === 'damaged') {
        scrubFindings.damaged += 1;
        await this.#replace(chunk, files);
      }
    });
  }

  /** Moves a chunk aside that a peer has as it should be; it is to be fetched again. */
  async quarantine(chunk: Chunk, files: ChunkFiles, reason: string): Promise<void> {
    const { disk, log, damage, quarantineDirectory, forget } = this.#ports;
    this.#hidden.set(chunk.name, checkChunkName(chunk.name));
    forget(chunk);
    await moveAside(disk, files, quarantineDirectory);
    damage.quarantinedChunks += 1;
    log.error('A chunk was moved aside and is fetched again.', {
      category: files.category,
      chunk: chunk.name,
      reason,
      movedTo: `${quarantineDirectory}/${chunk.name}`,
    });
  }

  /**
   * Saves what is intact of a damaged chunk. One that cannot be saved now is hidden until the next start, which
   * finds it damaged again, or leaves that to its check of all chunks.
   */
  async salvage(files: ChunkFiles): Promise<void> {
    const { disk, log, damage, quarantineDirectory } = this.#ports;
    const { category, chunk } = files;
    try {
      const report = await salvageChunk(disk, files, quarantineDirectory, this.#ports);
      damage.quarantinedChunks += 1;
      damage.salvagedBatches += report.savedBatches;
      damage.salvagedBytes += report.savedBytes;
      damage.lostBytes += report.damagedBytes;
      log.error('A damaged chunk was moved aside; its intact batches were stored again.', {
        category,
        chunk,
        ...report,
      });
    } catch (error) {
      this.#hidden.set(chunk, checkChunkName(chunk));
      log.error(
        'A damaged chunk could not be saved and is not shown; it is tried again after the next start.',
        { category, chunk, error: errorMessage(error) },
      );
    }
  }

  /** The names of `hidden`. */
  get hiddenNames(): readonly string[] {
    return this.hidden.map(formatChunkName);
  }

  async #replace(chunk: Chunk, files: ChunkFiles): Promise<void> {
    const { forget, isHeldElsewhere } = this.#ports;
    if (isHeldElsewhere(chunk)) {
      await this.quarantine(chunk, files, 'it is damaged');
      return;
    }
    await this.salvage(files);
    forget(chunk);
  }
}
