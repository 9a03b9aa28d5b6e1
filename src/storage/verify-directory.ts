import { errorMessage } from '../protocol/chukcha-error.js';
import { formatChunkName, parseChunkName } from '../protocol/names.js';
import { Ballast } from './ballast.js';
import { type ChunkHome, chunkIndexPath, parseIndexName } from './chunk.js';
import { findDamaged } from './chunk-check.js';
import { checkSealedChunk } from './chunk-health.js';
import { type CategoryLayout, dataLayout, listCategories, listOrNone } from './data-layout.js';
import type { DirectoryEntry, Disk } from './disk.js';
import { GroupBook } from './group-book.js';
import { IndexAllocator } from './index-allocator.js';
import { ProducerBook } from './producer-book.js';
import { type ChunkFiles, endOf, readIndex, readSeal } from './recovery.js';

/** What was found of one chunk, or of a file that belongs to a category. */
export interface Finding {
  readonly category: string;
  /** The chunk, or the name of the file. */
  readonly name: string;
  /** Bytes that were compared with their checksums. */
  readonly checkedBytes: number;
  /**
   * `intact`, or what is the matter: a `note` loses no answered message, `damage` does unless there is another
   * copy.
   */
  readonly kind: 'intact' | 'note' | 'damage';
  /** What is the matter and what to do; empty for what is intact. */
  readonly sentence: string;
}

/** Compares all chunks of a data directory with their checksums. It changes nothing; no node may run there. */
export async function* verifyDirectory(
  disk: Disk,
  dataDirectory: string,
): AsyncGenerator<Finding, void, void> {
  const layout = dataLayout(dataDirectory);
  for (const category of await listCategories(disk, layout)) {
    const { home, stateDirectory, quarantineDirectory } = layout.category(category);
    yield* checkStateFiles(disk, category, stateDirectory);
    const entries = (await listOrNone(disk, home.directory)).toSorted(byName);
    for (const entry of entries) yield await checkEntry(disk, category, home, entry);
    const names = entries.flatMap(({ name, kind }) => (kind === 'file' ? name : []));
    yield* findMissing(disk, category, layout.category(category), new Set(names));
    for (const { name } of await listOrNone(disk, quarantineDirectory)) {
      const sentence = `lies in ${quarantineDirectory}, moved aside because it was damaged: remove it when it is not needed.`;
      yield { category, name, checkedBytes: 0, kind: 'note', sentence };
    }
  }
}

function byName(left: DirectoryEntry, right: DirectoryEntry): number {
  return left.name < right.name ? -1 : 1;
}

async function* checkStateFiles(
  disk: Disk,
  category: string,
  stateDirectory: string,
): AsyncGenerator<Finding, void, void> {
  const ballast = new Ballast(disk, `${stateDirectory}/ballast`);
  for (const [name, open] of [
    ['groups.json', (path: string) => GroupBook.open({ disk, ballast }, path)],
    ['producers.json', (path: string) => ProducerBook.open(disk, ballast, path)],
    ['next-chunk-index.json', (path: string) => IndexAllocator.open({ disk }, path, -1)],
  ] as const) {
    try {
      await open(`${stateDirectory}/${name}`);
    } catch (error) {
      yield { category, name, checkedBytes: 0, kind: 'damage', sentence: errorMessage(error) };
    }
  }
}

/** Sealed chunks that nobody has acknowledged, and that are not there any more. */
async function* findMissing(
  disk: Disk,
  category: string,
  { home, stateDirectory }: CategoryLayout,
  present: ReadonlySet<string>,
): AsyncGenerator<Finding, void, void> {
  const ballast = new Ballast(disk, `${stateDirectory}/ballast`);
  // A file of groups that cannot be read is told by itself; without it nobody has acknowledged anything.
  const groups = await GroupBook.open({ disk, ballast }, `${stateDirectory}/groups.json`).catch(
    () => undefined,
  );
  for (const { name: fileName } of await listOrNone(disk, home.indexDirectory)) {
    const chunk = parseIndexName(fileName);
    if (chunk === undefined || present.has(formatChunkName(chunk))) continue;
    const seal = await readSeal(disk, `${home.indexDirectory}/${fileName}`);
    if (seal === undefined || groups?.states.isAckedByAll(chunk.owner, chunk.index)) continue;
    const sentence = `is missing with its ${seal.size} bytes: restore it from a copy, or remove ${home.indexDirectory}/${fileName} when it is lost.`;
    yield { category, name: formatChunkName(chunk), checkedBytes: 0, kind: 'damage', sentence };
  }
}

async function checkEntry(
  disk: Disk,
  category: string,
  home: ChunkHome,
  { name, kind }: DirectoryEntry,
): Promise<Finding> {
  const finding = { category, name, checkedBytes: 0 };
  if (kind !== 'file' || parseChunkName(name) === undefined) {
    return { ...finding, kind: 'note', sentence: 'is not a chunk; the node leaves it alone.' };
  }
  const path = `${home.directory}/${name}`;
  const files = { path, indexPath: chunkIndexPath(home, name), category, chunk: name };
  try {
    const file = await disk.openFile(path, 'read');
    const checkedBytes = await file.size().finally(() => file.close());
    const seal = await readSeal(disk, files.indexPath);
    const judged =
      seal === undefined
        ? await judgeOpen(disk, files, checkedBytes)
        : await judgeSealed(disk, files, checkedBytes, seal.size);
    return { ...finding, checkedBytes, ...judged };
  } catch (error) {
    const sentence = `cannot be read (${errorMessage(error)}): look at the disk.`;
    return { ...finding, kind: 'damage', sentence };
  }
}

type Judgement = Pick<Finding, 'kind' | 'sentence'> & { readonly checkedBytes?: number };

const intact: Judgement = { kind: 'intact', sentence: '' };

async function judgeSealed(
  disk: Disk,
  files: ChunkFiles,
  sizeFound: number,
  size: number,
): Promise<Judgement> {
  const health = await checkSealedChunk(disk, files);
  if (health.kind === 'damaged') return damaged(health.damagedBytes, size);
  if (health.kind === 'index damaged') {
    return {
      kind: 'note',
      sentence: 'is whole, but its index is damaged: the node makes it again.',
    };
  }
  if (sizeFound === size) return intact;
  const surplus = sizeFound - size;
  return { kind: 'note', sentence: `has ${surplus} bytes behind its end that nobody reads.` };
}

/** A chunk without a seal was open when its writer died. */
async function judgeOpen(disk: Disk, files: ChunkFiles, sizeFound: number): Promise<Judgement> {
  const index = await readIndex(disk, files.indexPath);
  if (index === undefined) {
    return {
      checkedBytes: 0,
      kind: 'note',
      sentence: 'has no index of its batches: the node takes its whole lines.',
    };
  }
  const file = await disk.openFile(files.path, 'read');
  const bad = await findDamaged(file, index.records).finally(() => file.close());
  if (bad.length > 0) {
    return damaged(
      bad.reduce((sum, record) => sum + record.byteCount, 0),
      endOf(index.records),
    );
  }
  const unanswered = sizeFound - endOf(index.records);
  if (index.isDamaged && unanswered > 0) {
    return {
      kind: 'damage',
      sentence: `has an index that is damaged, so nothing says what ${unanswered} of its bytes should be. Restore the index from a copy, or start the node: it stores again what is intact and moves the chunk aside.`,
    };
  }
  if (unanswered === 0) {
    return { kind: 'note', sentence: 'is whole, and was not sealed: the next start seals it.' };
  }
  const sentence = `has ${unanswered} bytes behind its last batch, of a write that was not answered: the next start cuts them off.`;
  return { kind: 'note', sentence };
}

function damaged(damagedBytes: number, size: number): Judgement {
  const sentence =
    `is damaged: ${damagedBytes} of its ${size} bytes are in batches that are not what was written. Restore it from a copy, or ` +
    'start the node: its check of all chunks stores what is intact again and moves the chunk aside.';
  return { kind: 'damage', sentence };
}
