import {
  type Input,
  type InputContext,
  PluginError,
  type PluginOptions,
} from '@chukcha/plugin-api';
import { BufferPool } from './buffer-pool.js';
import { CheckpointBook } from './checkpoint-book.js';
import { type DiscoveryResult, FileDiscovery } from './file-discovery.js';
import { readFileInputOptions } from './file-input-options.js';
import type { FileInputParts } from './file-input-parts.js';
import { FollowingInput } from './following-input.js';
import { parseExclude } from './glob.js';
import { OnceInput } from './once-input.js';
import { resolveSourcePath, type SourcePath } from './source-paths.js';

/** How many blocks may be with the host at a time: 8 MiB with blocks of 1 MiB, enough to keep it busy. */
const unsettledBlockCountMax = 8;

/**
 * Opens the files that are there. The options are those of the plugin's schema. Throws a `PluginError` of
 * kind `operator` for a path that does not lead to a file that can be read.
 *
 * Checkpoints are kept in the context's state under `dev:ino`; see `Checkpoint`.
 */
export async function open(rawOptions: PluginOptions, context: InputContext): Promise<Input> {
  const options = readFileInputOptions(rawOptions, context);
  const directory = process.cwd();
  const sources: SourcePath[] = [];
  for (const text of options.paths) sources.push(await resolveSourcePath(text, directory));
  const excludes = options.exclude.map((text) => parseExclude(text, directory));
  const isExcluded = (path: string): boolean => excludes.some((excludes) => excludes(path));
  const globs = sources.flatMap((source) => source.globs);
  const discovery = new FileDiscovery(globs, isExcluded);
  const found = await discovery.find();
  checkMatches(sources, found, context);
  const book = new CheckpointBook(context.state);
  const parts: FileInputParts = {
    book,
    discovery,
    found,
    pool: new BufferPool({
      bufferBytes: options.blockBytes,
      bufferCount: unsettledBlockCountMax,
    }),
    file: { log: context.log, book, messageBytesMax: context.messageBytesMax },
  };
  if (context.once) return new OnceInput(parts, options.readFrom);
  return FollowingInput.open(parts, globs, options);
}

/** A glob without a match is most likely misspelt; only when files may still come can it be right. */
function checkMatches(
  sources: readonly SourcePath[],
  { paths }: DiscoveryResult,
  context: InputContext,
): void {
  for (const { text, globs } of sources) {
    if (paths.some((path) => globs.some((glob) => glob.matches(path)))) continue;
    if (context.once) {
      throw new PluginError(
        'operator',
        `No file matches ${JSON.stringify(text)}: check the path, the option exclude, and the quotes around it in the shell.`,
      );
    }
    context.log.warn('No file matches yet; waiting for one.', { path: text });
  }
}
