import { crc32 } from 'node:zlib';
import type { Generation } from './generation.js';

/** Generations without a file, to be found by what a file begins with. */
export class OrphanIndex {
  readonly #byId = new Map<string, Generation>();
  /** By the number of bytes of the head, then by their checksum. */
  readonly #byHead = new Map<number, Map<number, Set<Generation>>>();

  add(generation: Generation): void {
    const { bytes, crc32: sum } = generation.head;
    this.#byId.set(generation.id, generation);
    const bySum = this.#byHead.get(bytes) ?? new Map<number, Set<Generation>>();
    this.#byHead.set(bytes, bySum);
    bySum.set(sum, (bySum.get(sum) ?? new Set()).add(generation));
  }

  delete(generation: Generation): void {
    const { bytes, crc32: sum } = generation.head;
    this.#byId.delete(generation.id);
    this.#byHead.get(bytes)?.get(sum)?.delete(generation);
  }

  values(): Generation[] {
    return [...this.#byId.values()];
  }

  /** Those whose head a file with this head begins with, the longest head first. */
  *withHead(head: Buffer): Generator<Generation> {
    if (this.#byId.size === 0) return;
    const counts = [...this.#byHead.keys()].filter((bytes) => bytes > 0 && bytes <= head.length);
    for (const bytes of counts.sort((left, right) => right - left)) {
      const found = this.#byHead.get(bytes)?.get(crc32(head.subarray(0, bytes)));
      if (found !== undefined) yield* [...found];
    }
  }
}
