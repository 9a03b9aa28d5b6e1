import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { OpenFiles } from '../storage/open-files.js';
import type { Store } from '../storage/store.js';

/** How often each side of a stream says at the least that it is there, in milliseconds. */
export const heartbeatMs = 1_000;

/** After so long a silence a peer counts as gone: four heartbeats. */
export const silenceMsMax = 4 * heartbeatMs;

/** How often what peers have is looked at, and what has waited for too long. */
export const tickMs = 500;

/** How many bytes may wait to be written before a replica reads no more: some large parts. */
export const intakeBytesMax = 8 * 1024 * 1024;

/** How many chunks are fetched from one peer at a time, beyond what owners send by themselves. */
export const wantedCountMax = 4;

/** How long a node that may have lost the end of a chunk waits for peers that may have it, after its start. */
export const recoveryMsMax = 10_000;

/** How long a chunk that could not be fetched is left alone. */
export const repairPauseMs = 5_000;

/** What the parts of replication work with. */
export interface ReplicationParts {
  readonly nodeName: string;
  readonly store: Store;
  readonly files: OpenFiles;
  readonly clock: Clock;
  readonly log: Logger;
}
