import type { BufferPool } from './buffer-pool.js';
import type { CheckpointBook } from './checkpoint-book.js';
import type { DiscoveryResult, FileDiscovery } from './file-discovery.js';
import type { FollowedFileOptions } from './followed-file.js';

/** What the two ways to read files have in common. */
export interface FileInputParts {
  readonly book: CheckpointBook;
  readonly pool: BufferPool;
  readonly discovery: FileDiscovery;
  /** What was there when the input was opened. */
  readonly found: DiscoveryResult;
  readonly file: FollowedFileOptions;
}
