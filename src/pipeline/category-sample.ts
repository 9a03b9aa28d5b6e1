import type { Client } from '../client/client.js';
import { observerGroup } from '../client/observer-group.js';

/** How much of a category is looked at. */
const sampleBytesMax = 64 * 1024;

/** Some messages of a category, whole lines, from one of its latest chunks; empty when it has none. */
export async function sampleMessages(client: Client, category: string): Promise<Uint8Array> {
  const { server, chunks } = await client.listChunks(category, { group: observerGroup });
  const chunk = chunks.findLast(({ size }) => size > 0);
  if (chunk === undefined) return new Uint8Array();
  const { bytes } = await client.read(category, {
    chunk: chunk.name,
    offset: 0,
    byteCountMax: sampleBytesMax,
    server,
  });
  return bytes;
}
