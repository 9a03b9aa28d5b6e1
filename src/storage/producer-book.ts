import { crc32OfPieces } from '../common/crc32.js';
import { detachedText } from '../common/detached-text.js';
import { Mutex } from '../common/mutex.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import type { ProducerStamp } from '../protocol/http-api.js';
import type { Ballast } from './ballast.js';
import type { Appended, Batch } from './batch.js';
import type { BatchRecord } from './batch-index.js';
import { type Disk, hasSystemCode } from './disk.js';
import { writeError } from './disk-error.js';
import { type SequenceRange, SequenceSet } from './sequence-set.js';

/** How many producers a category remembers; of more, those that were silent for the longest are forgotten. */
const producerCountMax = 10_000;

/** Of how many batches of a producer the place is remembered, for the answer to a repetition. */
const placeCountMax = 16;

/** Where a batch with a stamp went. */
interface StoredPlace {
  readonly sequence: number;
  readonly chunk: string;
  readonly offset: number;
  readonly byteCount: number;
  readonly crc: number;
}

interface KnownProducer {
  readonly name: string;
  readonly stored: SequenceSet;
  /** Of the newest batches since this start, oldest first. */
  readonly places: StoredPlace[];
}

interface ProducerFile {
  readonly version: 1;
  /** In the order in which they were last seen. */
  readonly producers: readonly {
    readonly producer: string;
    readonly ranges: readonly SequenceRange[];
    readonly forgottenBefore: number;
  }[];
}

/**
 * Which batches of which producers a category has stored on this node, so that a repeated one is not stored
 * again.
 *
 * The indexes of the chunks say it, as long as there are chunks. What a chunk's index says goes into
 * `producers.json` before the chunk is sealed on disk and before it is removed, and not earlier: the file must
 * not know of a batch that a power failure can still take away.
 */
export class ProducerBook {
  readonly #ballast: Ballast;
  readonly #path: string;
  readonly #lane = new Mutex();
  /** All that is stored, in the order in which the producers were last seen. */
  readonly #known = new Map<string, KnownProducer>();
  #archived: ReadonlyMap<string, SequenceSet>;
  /**
   * By chunk and producer, as they were last seen: what is not in the file yet. Of one chunk no more than the file takes:
   * an index has room for 200,000 names.
   */
  readonly #unarchived = new Map<string, Map<string, SequenceSet>>();

  private constructor(ballast: Ballast, path: string, archived: ReadonlyMap<string, SequenceSet>) {
    this.#ballast = ballast;
    this.#path = path;
    this.#archived = archived;
    for (const [producer, stored] of archived) {
      this.#known.set(producer, { name: producer, stored: copyOf(stored), places: [] });
    }
  }

  /** Reads the file. Throws `directory_invalid` for one that is damaged. */
  static async open(disk: Disk, ballast: Ballast, path: string): Promise<ProducerBook> {
    return new ProducerBook(ballast, path, await readProducerFile(disk, path));
  }

  /**
   * `new`, or `forgotten` when nobody can tell any more, or the answer that says where the batch is stored. Throws
   * `sequence_reused` when that is known to be another batch.
   */
  find(stamp: ProducerStamp, { pieces, byteCount }: Batch): 'new' | 'forgotten' | Appended {
    const known = this.#known.get(stamp.producer);
    const found = known?.stored.find(stamp.sequence) ?? 'new';
    if (known === undefined || found !== 'stored') return found as 'new' | 'forgotten';
    const place = known.places.find(({ sequence }) => sequence === stamp.sequence);
    const isSame =
      place === undefined || (place.byteCount === byteCount && place.crc === crc32OfPieces(pieces));
    if (!isSame) throw sequenceReused(stamp, place);
    return {
      chunk: place?.chunk ?? null,
      offset: place?.offset ?? null,
      size: byteCount,
      duplicate: true,
    };
  }

  /** Takes note of a batch that is in a chunk of this node. */
  add(chunk: string, { offset, byteCount, crc, stamp }: BatchRecord): void {
    if (stamp === undefined) return;
    const { sequence } = stamp;
    const known = this.#touch(stamp.producer);
    known.stored.add(sequence);
    known.places.push({ sequence, chunk, offset, byteCount, crc });
    if (known.places.length > placeCountMax) known.places.shift();
    const producers = this.#unarchived.get(chunk) ?? new Map<string, SequenceSet>();
    this.#unarchived.set(chunk, producers);
    const ofChunk = producers.get(known.name) ?? new SequenceSet();
    touch(producers, known.name, ofChunk);
    ofChunk.add(sequence);
  }

  /**
   * Makes what the chunk has of producers durable apart from the chunk, which must be durable itself, or done
   * with. Throws `disk_full` or `storage_failed`; then it may be called again.
   */
  archive(chunk: string): Promise<void> {
    if (!this.#unarchived.has(chunk)) return Promise.resolve();
    return this.#lane.run(async () => {
      const producers = this.#unarchived.get(chunk);
      if (producers === undefined) return;
      const archived = new Map(this.#archived);
      for (const [producer, stored] of producers) {
        const merged = copyOf(archived.get(producer));
        merged.addAll(stored);
        archived.delete(producer);
        archived.set(producer, merged);
      }
      // Only now: the first of those that were seen last may be among the first in the file.
      for (const producer of archived.keys()) {
        if (archived.size <= producerCountMax) break;
        archived.delete(producer);
      }
      await this.#ballast
        .replaceFile(this.#path, `${JSON.stringify(toFile(archived))}\n`)
        .catch((error: unknown) => {
          throw writeError(error, this.#path, 'what producers have sent was not recorded');
        });
      this.#archived = archived;
      this.#unarchived.delete(chunk);
    });
  }

  /** The producer, now the last one seen. */
  #touch(producer: string): KnownProducer {
    const known = this.#known.get(producer) ?? newProducer(producer);
    touch(this.#known, known.name, known);
    return known;
  }
}

function newProducer(name: string): KnownProducer {
  return { name: detachedText(name), stored: new SequenceSet(), places: [] };
}

/** Makes it the last one seen; when there are too many, the first one is forgotten. */
function touch<T>(producers: Map<string, T>, producer: string, value: T): void {
  producers.delete(producer);
  producers.set(producer, value);
  if (producers.size <= producerCountMax) return;
  const [oldest] = producers.keys();
  if (oldest !== undefined) producers.delete(oldest);
}

function copyOf(stored: SequenceSet | undefined): SequenceSet {
  return new SequenceSet(stored?.ranges, stored?.forgottenBefore);
}

function toFile(archived: ReadonlyMap<string, SequenceSet>): ProducerFile {
  const producers = [...archived].map(([producer, { ranges, forgottenBefore }]) => {
    return { producer, ranges, forgottenBefore };
  });
  return { version: 1, producers };
}

function sequenceReused({ producer, sequence }: ProducerStamp, place: StoredPlace): ChukchaError {
  return new ChukchaError(
    'sequence_reused',
    `Another batch was stored before as batch ${sequence} of producer ${producer}: give every batch a ` +
      'sequence of its own, and a producer that starts to count anew another name; nothing was stored.',
    { fields: { producer, sequence, chunk: place.chunk, offset: place.offset } },
  );
}

async function readProducerFile(disk: Disk, path: string): Promise<Map<string, SequenceSet>> {
  let text: string;
  try {
    text = (await disk.readFile(path)).toString();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return new Map();
    throw error;
  }
  try {
    return checkProducerFile(JSON.parse(text) as ProducerFile);
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `${path} is not a file of producers of version 1 (${errorMessage(cause)}): restore it, or remove it; ` +
        'then batches that producers repeat may be stored a second time.',
      { cause },
    );
  }
}

/** Checks every value: a wrong one would be taken for a stored batch, and a new one would be dropped. */
function checkProducerFile({ version, producers }: ProducerFile): Map<string, SequenceSet> {
  if (version !== 1) throw new Error(`its version is ${JSON.stringify(version)}`);
  const archived = new Map<string, SequenceSet>();
  for (const { producer, ranges, forgottenBefore } of producers) {
    const isOrdered = ranges.every(([first, last], index) => {
      const before = ranges[index - 1]?.[1] ?? -2;
      return isSequence(first) && isSequence(last) && before + 1 < first && first <= last;
    });
    if (typeof producer !== 'string' || !isOrdered || !isSequence(forgottenBefore))
      throw new Error(`producer ${producer} has no valid ranges`);
    archived.set(producer, new SequenceSet(ranges, forgottenBefore));
  }
  return archived;
}

function isSequence(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
