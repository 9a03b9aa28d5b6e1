import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Ballast } from './ballast.js';
import type { DamageCounts } from './damage-counts.js';
import type { CategoryLayout } from './data-layout.js';
import type { Disk } from './disk.js';
import type { DiskGuard } from './disk-guard.js';
import type { Flusher } from './flusher.js';
import type { StoreListener } from './store-listener.js';

export interface CategoryOptions extends CategoryLayout {
  readonly name: string;
  /** The name of this node; new chunks get it as their owner. */
  readonly nodeName: string;
  readonly chunkBytesMax: number;
  readonly rotateIntervalMs: number;
  /** Whether the last process made everything durable before it ended. */
  readonly stoppedCleanly: boolean;
  /** Whether the node is a member of a cluster, so that peers may have copies and send them. */
  readonly isMember: boolean;
  /** Whether what was written last before this start may be lost here, and be at a peer all the same. */
  readonly mayHaveLost: boolean;
  /** The first index that this directory may use; above 0 when an earlier disk was lost. */
  readonly firstIndex: number;
}

export interface CategoryPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flusher: Flusher;
  readonly ballast: Ballast;
  readonly guard: DiskGuard;
  readonly damage: DamageCounts;
  readonly listener: () => StoreListener;
}
