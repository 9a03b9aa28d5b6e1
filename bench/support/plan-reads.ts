import type { Client, ListedChunk } from '../../src/index.js';
import { makeRequest } from './requests.js';

/** The chunks of a category that will not grow any more. */
export async function sealedChunks(client: Client, category: string): Promise<ListedChunk[]> {
  const { chunks } = await client.listChunks(category);
  return chunks.filter((chunk) => chunk.complete);
}

/**
 * Requests that read the chunks from their beginning in equal parts. A line must end at each multiple of
 * `readBytes`, so that every answer has exactly that size; a shorter rest at the end is left out.
 */
export function planReads(
  category: string,
  chunks: readonly ListedChunk[],
  readBytes: number,
): Buffer[] {
  return chunks.flatMap(({ name, size }) =>
    Array.from({ length: Math.floor(size / readBytes) }, (_, index) =>
      makeRequest(
        'GET',
        `/read?category=${category}&chunk=${name}&off=${index * readBytes}&max_size=${readBytes}`,
      ),
    ),
  );
}
