import {
  type Input,
  type InputContext,
  PluginError,
  type PluginOptions,
} from '@chukcha/plugin-api';
import { BufferPool } from './buffer-pool.js';
import { CheckpointBook } from './checkpoint-book.js';
import { createFileFigures } from './file-figures.js';
import { type FileInputOptions, readFileInputOptions } from './file-input-options.js';
import { FileSet } from './file-set.js';
import type { FollowedFileOptions } from './followed-file.js';
import { FollowingInput } from './following-input.js';
import { checkFramingOptions } from './framing-options.js';
import { parseExclude } from './glob.js';
import { OnceInput } from './once-input.js';
import { PathFinder } from './path-finder.js';
import { resolveSourcePath, type SourcePath } from './source-paths.js';

export { positions } from './file-positions.js';

/** How many blocks may be with the host at a time: 8 MiB with blocks of 1 MiB, enough to keep it busy. */
const unsettledBlockCountMax = 8;

/**
 * After how many poll intervals without a path and without a new line a file is let go of: one minute at
 * the default, far longer than programs take to reopen a log that was rotated.
 */
const leaveAfterPollCount = 60;

/**
 * Opens the files that are there. The options are those of the plugin's schema. Throws a `PluginError` of
 * kind `operator` for a path that does not lead to a file that can be read.
 *
 * Checkpoints are kept in the context's state under the ids of generations; see `Checkpoint`.
 */
export async function open(rawOptions: PluginOptions, context: InputContext): Promise<Input> {
  const options = readFileInputOptions(rawOptions, context);
  checkFramingOptions(options.framing);
  const directory = process.cwd();
  const sources: SourcePath[] = [];
  for (const text of options.paths) sources.push(await resolveSourcePath(text, directory));
  const excludes = options.exclude.map((text) => parseExclude(text, directory));
  const isExcluded = (path: string): boolean => excludes.some((excludes) => excludes(path));
  const globs = sources.flatMap((source) => source.globs);
  const finder = new PathFinder(globs, isExcluded);
  const found = finder.find();
  const book = new CheckpointBook(context.state);
  const file = fileOptions(options, context, book);
  const files = new FileSet(file, options.pollIntervalMs * leaveAfterPollCount);
  const pool = new BufferPool({
    // One more for the newline that a last line may lack.
    bufferBytes: options.blockBytes + 1,
    bufferCount: unsettledBlockCountMax,
  });
  checkMatches(sources, found.paths, context);
  files.noteProblems(context.once ? [] : found.problems);
  await files.start(found.paths, options.readFrom);
  const parts = { options, sources, book, pool, finder, found, files, file };
  return context.once ? new OnceInput(parts) : new FollowingInput(parts);
}

function fileOptions(
  options: FileInputOptions,
  context: InputContext,
  book: CheckpointBook,
): FollowedFileOptions {
  const { framing, longLine, partialLineMs, multilineTimeoutMs } = options;
  const isGrouping =
    framing.multilineStart !== undefined || framing.multilineContinuation !== undefined;
  const figures = createFileFigures(context.metrics);
  const { log, batchBytesMax } = context;
  return {
    ...{ log, book, figures, framing, batchBytesMax },
    ...{ longLine, partialLineMs, multilineTimeoutMs, isGrouping },
  };
}

/** A glob without a match is most likely misspelt; only when files may still come can it be right. */
function checkMatches(
  sources: readonly SourcePath[],
  paths: ReadonlySet<string>,
  context: InputContext,
): void {
  for (const { text, globs } of sources) {
    if ([...paths].some((path) => globs.some((glob) => glob.matches(path)))) continue;
    if (context.once) {
      throw new PluginError(
        'operator',
        `No file matches ${JSON.stringify(text)}: check the path, the option exclude, and the quotes around it in the shell.`,
      );
    }
    context.log.warn('No file matches yet; waiting for one.', { path: text });
  }
}
