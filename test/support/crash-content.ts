import type { SeededRandom } from './seeded-random.js';

/**
 * What a crash leaves of what was not synced. A process that dies leaves all of it, because the page cache
 * outlives the process. A power cut leaves nothing, or anything: any of the changes, in any order.
 */
export type CrashMode = 'process dies' | 'power cut, nothing left' | 'power cut, anything left';

/** What a disk takes or loses as a whole. */
const sectorBytes = 512;

type ContentChange =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly size: number };

/** The bytes of one file: as programs see them, and as the disk has them. */
export class CrashContent {
  readonly #cached: Bytes;
  readonly #durable: Bytes;
  /** What the disk does not have yet, in the order in which it came. */
  #unsynced: ContentChange[] = [];

  constructor(content: Buffer = Buffer.alloc(0)) {
    this.#cached = new Bytes(content);
    this.#durable = new Bytes(content);
  }

  get size(): number {
    return this.#cached.size;
  }

  /** The bytes from a position to the end; valid until the next change. */
  from(position: number): Buffer {
    return this.#cached.content.subarray(position);
  }

  write(bytes: Buffer, position: number): void {
    this.#change({ kind: 'write', position, bytes });
  }

  truncate(size: number): void {
    if (size !== this.size) this.#change({ kind: 'truncate', size });
  }

  /** Returns what makes durable all that was changed up to now, and nothing that comes later. */
  beginSync(): () => void {
    const covered = new Set(this.#unsynced);
    return () => {
      for (const change of this.#unsynced) if (covered.has(change)) this.#durable.apply(change);
      this.#unsynced = this.#unsynced.filter((change) => !covered.has(change));
    };
  }

  /** What a failed sync leaves: programs see all of it, the disk will never get it, and no later sync says so. */
  loseUnsynced(): void {
    this.#unsynced = [];
  }

  afterCrash(mode: CrashMode, random: SeededRandom): CrashContent {
    if (mode === 'process dies') return this;
    const left = new Bytes(this.#durable.content);
    if (mode === 'power cut, anything left') {
      for (const change of pickSome(this.#unsynced, random)) left.apply(tear(change, left, random));
    }
    return new CrashContent(left.content);
  }

  #change(change: ContentChange): void {
    this.#cached.apply(change);
    this.#unsynced.push(change);
  }
}

/** All of it, none, the first ones, or any. */
export function pickSome<T>(items: readonly T[], random: SeededRandom): readonly T[] {
  const count = random.integer(0, items.length);
  const choices = [
    () => items,
    () => [],
    () => items.slice(0, count),
    () => items.filter(() => random.fraction() < 0.5),
  ];
  return random.pick(choices)();
}

/** Sometimes only a part of a write has reached the disk: its first bytes, or any of its sectors. */
function tear(change: ContentChange, before: Bytes, random: SeededRandom): ContentChange {
  if (change.kind === 'truncate' || random.fraction() < 0.5) return change;
  const { position, bytes } = change;
  if (random.fraction() < 0.5) {
    return { ...change, bytes: bytes.subarray(0, random.integer(0, bytes.length)) };
  }
  const left = Buffer.from(bytes);
  const end = position + bytes.length;
  for (let sector = position - (position % sectorBytes); sector < end; sector += sectorBytes) {
    if (random.fraction() < 0.5) continue;
    const from = Math.max(0, sector - position);
    const to = Math.min(bytes.length, sector + sectorBytes - position);
    left.fill(0, from, to);
    left.set(before.content.subarray(position + from, position + to), from);
  }
  return { ...change, bytes: left };
}

/** Bytes that grow and shrink. */
class Bytes {
  #buffer: Buffer;
  #size: number;

  constructor(content: Buffer) {
    this.#buffer = Buffer.from(content);
    this.#size = content.length;
  }

  get size(): number {
    return this.#size;
  }

  get content(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }

  apply(change: ContentChange): void {
    if (change.kind === 'truncate') this.#resize(change.size);
    else {
      this.#resize(Math.max(this.#size, change.position + change.bytes.length));
      change.bytes.copy(this.#buffer, change.position);
    }
  }

  /** What is new is zero, as in a file with a hole. */
  #resize(size: number): void {
    if (size > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(size, this.#buffer.length * 2));
      this.content.copy(larger);
      this.#buffer = larger;
    }
    if (size < this.#size) this.#buffer.fill(0, size, this.#size);
    this.#size = size;
  }
}
