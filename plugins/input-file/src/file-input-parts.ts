import type { BufferPool } from './buffer-pool.js';
import type { CheckpointBook } from './checkpoint-book.js';
import type { FileInputOptions } from './file-input-options.js';
import type { FileSet } from './file-set.js';
import type { FollowedFileOptions } from './followed-file.js';
import type { FoundPaths, PathFinder } from './path-finder.js';
import type { SourcePath } from './source-paths.js';

/** What the two ways to read files have in common. */
export interface FileInputParts {
  readonly options: FileInputOptions;
  readonly sources: readonly SourcePath[];
  readonly book: CheckpointBook;
  readonly pool: BufferPool;
  readonly finder: PathFinder;
  /** What was there when the input was opened. */
  readonly found: FoundPaths;
  readonly files: FileSet;
  readonly file: FollowedFileOptions;
}
