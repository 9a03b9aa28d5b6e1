import type { Client } from '../client/client.js';
import { systemClock } from '../common/clock.js';
import { sleep } from '../common/wait.js';
import { ChukchaError, errorCode } from '../protocol/chukcha-error.js';

/** Nodes tell each other of a chunk and of its end in a fraction of a second. */
const discardMsMax = 30_000;
const pauseMs = 50;

/** What a node answers when another one has been first, or has more of the chunk than it. */
const laterCodes: ReadonlySet<string> = new Set(['chunk_not_found', 'chunk_open']);

/**
 * Seals what is open and acknowledges everything of a category for a group, at all nodes of the client, without
 * reading it. Throws `timeout` when something is left after half a minute.
 */
export async function discardChunks(
  client: Client,
  category: string,
  group: string,
): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + discardMsMax;
  for (const server of client.servers) await client.seal(category, { server });
  for (;;) {
    const leftCounts: number[] = [];
    for (const server of client.servers) {
      const { chunks } = await client.listChunks(category, { group, server });
      leftCounts.push(chunks.length);
      for (const { name, size, complete } of chunks) {
        if (complete) await acknowledge(client, category, { name, size }, { group, server });
      }
    }
    if (leftCounts.every((count) => count === 0)) return;
    if (systemClock.monotonicMs() > deadlineMs) {
      throw new ChukchaError(
        'timeout',
        `${Math.max(...leftCounts)} chunks of category ${category} are still there ${discardMsMax / 1_000} s after their acknowledgement: look at \`chukcha status\`.`,
      );
    }
    await sleep(systemClock, pauseMs);
  }
}

async function acknowledge(
  client: Client,
  category: string,
  { name, size }: { readonly name: string; readonly size: number },
  options: { readonly group: string; readonly server: string },
): Promise<void> {
  try {
    await client.ack(category, name, size, options);
  } catch (error) {
    // It is looked at again.
    if (!laterCodes.has(errorCode(error) ?? '')) throw error;
  }
}
