import { errorMessage } from '../protocol/chukcha-error.js';
import { type ChunkName, formatChunkName, parseChunkName } from '../protocol/names.js';
import { removeIfThere } from './atomic-file.js';
import type { BatchRecord, SealRecord } from './batch-index.js';
import type { CategoryOptions, CategoryPorts } from './category-options.js';
import { Chunk, chunkIndexPath, indexSuffix, parseIndexName } from './chunk.js';
import { ChunkList } from './chunk-list.js';
import { hasSystemCode } from './disk.js';
import { GroupBook } from './group-book.js';
import { IndexAllocator } from './index-allocator.js';
import { ProducerBook } from './producer-book.js';
import {
  type ChunkFiles,
  endOf,
  readIndex,
  readSeal,
  recoverChunk,
  sealOf,
  sealRecovered,
} from './recovery.js';

/** What a start finds of a category. */
export interface OpenedCategory {
  readonly chunks: ChunkList;
  readonly groups: GroupBook;
  readonly producers: ProducerBook;
  readonly indexes: IndexAllocator;
  /** Chunks with batches that are not what was written; they are not in the list. */
  readonly damaged: readonly ChunkFiles[];
  /** Chunks in the list that peers may have more of, and their batches. */
  readonly copies: readonly LeftCopy[];
  readonly directoryExists: boolean;
}

/** A copy that is not whole, as an earlier start has left it. */
interface LeftCopy {
  readonly chunk: Chunk;
  readonly records: readonly BatchRecord[];
}

/**
 * Reads what is on disk and mends what a crash left: a torn end is cut off, an empty chunk and one that
 * every group has acknowledged is removed. All chunks of this node that were found are sealed: a chunk is never
 * appended to by a later start of its owner. In a cluster, copies of others' chunks are gone on with, and so are
 * the own ones of which a peer may have more.
 */
export async function openCategory(
  options: CategoryOptions,
  ports: CategoryPorts,
): Promise<OpenedCategory> {
  const { disk } = ports;
  const { stateDirectory, nodeName, home } = options;
  await disk.makeDirectory(home.indexDirectory);
  const groups = await GroupBook.open(ports, `${stateDirectory}/groups.json`, options.isMember);
  const producers = await ProducerBook.open(
    disk,
    ports.ballast,
    `${stateDirectory}/producers.json`,
  );
  const names = await listChunkFiles(options, ports);
  if (!options.stoppedCleanly) await syncNames(names !== undefined, options, ports);
  const opening = new CategoryOpening(options, ports, groups, producers);
  for (const name of names ?? []) await opening.take(name);
  await opening.removeOrphans(names ?? []);
  const ownIndexes = (names ?? []).flatMap(({ owner, index }) => (owner === nodeName ? index : []));
  const usedIndexMax = Math.max(groups.states.highestAcked(nodeName), ...ownIndexes);
  const onReserved = (before: number): void =>
    ports.listener().indexesReserved(options.name, before);
  const indexes = await IndexAllocator.open(
    { disk, onReserved },
    `${stateDirectory}/next-chunk-index.json`,
    usedIndexMax,
    {
      firstIndex: options.firstIndex,
      mayHaveLost: options.isMember && options.mayHaveLost,
    },
  );
  const { chunks, damaged, copies } = opening;
  const directoryExists = names !== undefined;
  return { chunks, groups, producers, indexes, damaged, copies, directoryExists };
}

class CategoryOpening {
  readonly chunks = new ChunkList();
  readonly damaged: ChunkFiles[] = [];
  readonly copies: LeftCopy[] = [];
  readonly #options: CategoryOptions;
  readonly #ports: CategoryPorts;
  readonly #groups: GroupBook;
  readonly #producers: ProducerBook;

  constructor(
    options: CategoryOptions,
    ports: CategoryPorts,
    groups: GroupBook,
    producers: ProducerBook,
  ) {
    this.#options = options;
    this.#ports = ports;
    this.#groups = groups;
    this.#producers = producers;
  }

  async take(name: ChunkName): Promise<void> {
    const { disk, log, clock } = this.#ports;
    const files = chunkFiles(this.#options, formatChunkName(name));
    const isAcked = this.#groups.states.isAckedByAll(name.owner, name.index);
    const mayGrow = this.#mayGrow(name);
    if (isAcked && (!mayGrow || (await readSeal(disk, files.indexPath)) !== undefined)) {
      await this.#finishRemoval(files);
      return;
    }
    const found = await recoverChunk(disk, log, files);
    if (found.kind === 'damaged') {
      this.damaged.push(files);
    } else if (found.kind === 'sealed') {
      this.chunks.add(Chunk.sealed(name, this.#options.home, found.seal));
    } else if (found.records.length === 0) {
      await this.#remove(files);
    } else if (mayGrow) {
      const chunk = Chunk.open(name, this.#options.home, endOf(found.records));
      this.#note(files, found.records);
      this.chunks.add(chunk);
      this.copies.push({ chunk, records: found.records });
    } else {
      const seal = sealOf(found.records, clock.wallMs());
      await this.#seal(files, found.records, seal);
      this.chunks.add(Chunk.sealed(name, this.#options.home, seal));
    }
  }

  /** Whether a peer may have more of the chunk than is here. */
  #mayGrow({ owner }: ChunkName): boolean {
    const { isMember, mayHaveLost, nodeName } = this.#options;
    return isMember && (mayHaveLost || owner !== nodeName);
  }

  /**
   * An index without a chunk is left by a crash between the removal of the two, or between their creation. Only
   * of an acknowledged chunk is it known that its batches were stored for good. One with a seal, of a chunk that
   * nobody has acknowledged, stays: somebody else has taken the chunk away.
   */
  async removeOrphans(names: readonly ChunkName[]): Promise<void> {
    const { disk, log } = this.#ports;
    const { indexDirectory } = this.#options.home;
    const expected = new Set(names.map((name) => `${formatChunkName(name)}${indexSuffix}`));
    let hasRemoved = false;
    for (const { name: fileName } of await disk.listDirectory(indexDirectory)) {
      if (expected.has(fileName)) continue;
      const indexPath = `${indexDirectory}/${fileName}`;
      const name = parseIndexName(fileName);
      if (name !== undefined && this.#groups.states.isAckedByAll(name.owner, name.index)) {
        await this.#finishRemoval(chunkFiles(this.#options, formatChunkName(name)));
      } else if (name === undefined || (await readSeal(disk, indexPath)) === undefined) {
        await this.#reportLost(fileName, indexPath);
        await removeIfThere(disk, indexPath);
        hasRemoved = true;
      } else {
        log.error('The file of a chunk is missing: put it back, or remove its index as well.', {
          category: this.#options.name,
          chunk: formatChunkName(name),
          index: indexPath,
        });
      }
    }
    // One that came back with a power failure could be taken for that of a chunk acknowledged meanwhile: unused
    // indexes below one that is acknowledged count as acknowledged too.
    if (hasRemoved) await disk.syncDirectory(indexDirectory);
  }

  /** A power failure took the name of the chunk before it was durable; or somebody has removed the file. */
  async #reportLost(fileName: string, indexPath: string): Promise<void> {
    const { disk, log } = this.#ports;
    const bytes = endOf((await readIndex(disk, indexPath))?.records ?? []);
    if (bytes === 0) return;
    const fields = { category: this.#options.name, index: fileName, bytes };
    log.error(
      'A chunk is gone that was not durable yet, or was removed; its batches are lost.',
      fields,
    );
  }

  /** The crash came behind the acknowledgement; what producers have sent in the chunk must still be kept. */
  async #finishRemoval(files: ChunkFiles): Promise<void> {
    const index = await readIndex(this.#ports.disk, files.indexPath);
    if (index !== undefined && index.seal === undefined) this.#note(files, index.records);
    try {
      await removeIfThere(this.#ports.disk, files.path);
      await this.#producers.archive(files.chunk);
      await removeIfThere(this.#ports.disk, files.indexPath);
    } catch (error) {
      this.#warn(
        'An acknowledged chunk could not be removed; the next start tries again.',
        files,
        error,
      );
    }
  }

  async #remove({ path, indexPath }: ChunkFiles): Promise<void> {
    await this.#ports.disk.removeFile(path);
    await removeIfThere(this.#ports.disk, indexPath);
  }

  /** As a writer does it: first what producers have sent, then the record that the chunk is whole. */
  async #seal(files: ChunkFiles, records: readonly BatchRecord[], seal: SealRecord): Promise<void> {
    this.#note(files, records);
    try {
      await this.#producers.archive(files.chunk);
      await sealRecovered(this.#ports.disk, files.indexPath, seal);
    } catch (error) {
      this.#warn(
        'A recovered chunk could not be sealed; the next start checks it again.',
        files,
        error,
      );
    }
  }

  #warn(sentence: string, { category, chunk }: ChunkFiles, error: unknown): void {
    this.#ports.log.warn(sentence, { category, chunk, error: errorMessage(error) });
  }

  #note({ chunk }: ChunkFiles, records: readonly BatchRecord[]): void {
    for (const record of records) this.#producers.add(chunk, record);
  }
}

/** The files of a chunk by its name. */
export function chunkFiles({ name, home }: CategoryOptions, chunk: string): ChunkFiles {
  return {
    path: `${home.directory}/${chunk}`,
    indexPath: chunkIndexPath(home, chunk),
    category: name,
    chunk,
  };
}

/** The chunk files of the category's directory; `undefined` when there is no directory. */
async function listChunkFiles(
  { name: category, home }: CategoryOptions,
  { disk, log }: CategoryPorts,
): Promise<ChunkName[] | undefined> {
  const names: ChunkName[] = [];
  try {
    for (const entry of await disk.listDirectory(home.directory)) {
      const name = entry.kind === 'file' ? parseChunkName(entry.name) : undefined;
      if (name !== undefined) names.push(name);
      else log.warn('Ignored what is not a chunk.', { category, name: entry.name });
    }
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  return names;
}

/**
 * Makes the names durable that an earlier process made: it may have ended before it could, and who finds a directory
 * there does not make it again.
 */
async function syncNames(
  hasChunks: boolean,
  { home, stateDirectory }: CategoryOptions,
  { disk }: CategoryPorts,
): Promise<void> {
  if (hasChunks) await disk.syncDirectory(home.directory);
  await disk.syncDirectory(home.indexDirectory);
  await disk.syncDirectory(stateDirectory);
}
