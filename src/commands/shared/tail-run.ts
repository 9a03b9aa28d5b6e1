import type { Client } from '../../client/client.js';
import type { CallOptions } from '../../client/client-calls.js';
import { Consumer } from '../../client/consumer.js';
import { observerGroup } from '../../client/observer-group.js';
import { callEachNode } from '../../client/retry-on-nodes.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import type { ListedChunk } from '../../protocol/http-api.js';
import { parseChunkName } from '../../protocol/names.js';
import type { OwnerPosition, Position } from '../../protocol/position.js';
import type { MessageFilter } from './message-filter.js';

export interface TailRun {
  readonly client: Client;
  readonly category: string;
  /** How many of each owner's last messages to begin with. */
  readonly lineCount: number | 'all';
  readonly once: boolean;
  readonly giveUpAfterMs?: number;
  /** Which messages to show. @default all */
  readonly filter?: MessageFilter;
  readonly warn: (sentence: string) => void;
}

/** How far from the end of a chunk the last lines are looked for. */
const lookBackBytesMax = 4 * 1024 * 1024;

const NEWLINE = 0x0a;

/** Prints the last messages and then those that come, until the signal aborts or nobody reads any more. */
export async function runTail(run: TailRun, signal: AbortSignal): Promise<void> {
  const { client, category, once, giveUpAfterMs } = run;
  const { lineCount } = run;
  const position =
    lineCount === 'all'
      ? undefined
      : await callEachNode(client, () => findStart(client, category, lineCount, signal));
  const consumer = new Consumer(client, {
    category,
    group: observerGroup,
    acknowledge: false,
    untilEnd: once,
    onRetry: (error, delayMs) => {
      if (delayMs > 1_000) run.warn(`${errorMessage(error)} Trying again.`);
    },
    ...(position === undefined ? {} : { position }),
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
  signal.addEventListener('abort', () => void consumer.close(), { once: true });
  for await (const batch of consumer) {
    const bytes = run.filter?.(batch.bytes) ?? batch.bytes;
    if (bytes.length > 0 && !(await print(bytes))) return;
    batch.ack();
  }
}

/** What is looked at is all of one node, because another one may have less than it. */
type Look = Required<Pick<CallOptions, 'server' | 'signal'>>;

/** Where to begin so that each owner's last `lineCount` messages are shown. */
async function findStart(
  client: Client,
  category: string,
  lineCount: number,
  signal: AbortSignal,
): Promise<Position> {
  const look: Look = { server: client.server, signal };
  const { chunks, cluster } = await client.listChunks(category, { group: observerGroup, ...look });
  const byOwner = new Map<string, ListedChunk[]>();
  for (const chunk of chunks) {
    const owner = parseChunkName(chunk.name)?.owner ?? '';
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), chunk]);
  }
  const owners = new Map<string, OwnerPosition>();
  for (const [owner, owned] of byOwner) {
    owners.set(owner, await findOwnerStart(client, category, owned, lineCount, look));
  }
  return { cluster, owners: Object.fromEntries(owners) };
}

/** Goes back over the owner's chunks until enough messages were seen. */
async function findOwnerStart(
  client: Client,
  category: string,
  chunks: readonly ListedChunk[],
  lineCount: number,
  look: Look,
): Promise<OwnerPosition> {
  let start: OwnerPosition = { index: 0, offset: 0 };
  let missing = lineCount;
  for (const chunk of chunks.toReversed()) {
    const found = await findLines(client, category, chunk, missing, look);
    start = { index: parseChunkName(chunk.name)?.index ?? 0, offset: found.offset };
    missing -= found.lineCount;
    if (missing <= 0 || found.offset > 0) break;
  }
  return start;
}

/** The offset of the last `lineCount` lines of a chunk, or of all that it has or that were looked at. */
async function findLines(
  client: Client,
  category: string,
  chunk: ListedChunk,
  lineCount: number,
  look: Look,
): Promise<{ readonly offset: number; readonly lineCount: number }> {
  if (lineCount === 0) return { offset: chunk.size, lineCount: 0 };
  const from = Math.max(0, chunk.size - lookBackBytesMax);
  const answer = await client.read(category, {
    chunk: chunk.name,
    offset: from,
    byteCountMax: lookBackBytesMax,
    ...look,
  });
  // The chunk may have grown since it was listed; what is behind is new and is shown in any case.
  const bytes = answer.bytes.subarray(0, chunk.size - from);
  let start = bytes.length;
  let count = 0;
  while (count < lineCount && start > 0) {
    const newline = start >= 2 ? bytes.lastIndexOf(NEWLINE, start - 2) : -1;
    if (newline === -1 && from > 0) break;
    start = newline + 1;
    count += 1;
  }
  return { offset: from + start, lineCount: count };
}

/** False when nobody reads the output any more. */
function print(bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const onError = (): void => resolve(false);
    process.stdout.once('error', onError);
    process.stdout.write(bytes, (error) => {
      if (error) return;
      process.stdout.off('error', onError);
      resolve(true);
    });
  });
}
