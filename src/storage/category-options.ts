import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Ballast } from './ballast.js';
import type { CategoryLayout } from './data-layout.js';
import type { Disk } from './disk.js';
import type { DiskGuard } from './disk-guard.js';
import type { Flusher } from './flusher.js';

export interface CategoryOptions extends CategoryLayout {
  readonly name: string;
  /** The name of this node; new chunks get it as their owner. */
  readonly nodeName: string;
  readonly chunkBytesMax: number;
  readonly rotateIntervalMs: number;
  /** Whether the last process made everything durable before it ended. */
  readonly stoppedCleanly: boolean;
}

export interface CategoryPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flusher: Flusher;
  readonly ballast: Ballast;
  readonly guard: DiskGuard;
}
