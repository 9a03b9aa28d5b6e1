import type { Settings } from './clickhouse-engine.js';
import type { ServerVersion } from './server-version.js';

export interface InsertSettingsOptions {
  readonly unknownFields: 'stop' | 'dead_letter' | 'skip';
  readonly asyncInsert: boolean;
  readonly deduplicate: boolean;
  /** What the user adds; it wins. */
  readonly more: Settings;
}

export interface InsertShape {
  readonly messageCount: number;
  readonly token: string;
  readonly ordered: boolean;
}

/** The settings of one insert, without those that a server of this version does not know. */
export function insertSettings(
  options: InsertSettingsOptions,
  { messageCount, token, ordered }: InsertShape,
  version: ServerVersion,
): Settings {
  const settings: Record<string, string | number> = {
    // Newer servers pass over unknown keys by default, older ones do not.
    input_format_skip_unknown_fields: options.unknownFields === 'skip' ? 1 : 0,
    date_time_input_format: 'best_effort',
    // One block, so that an insert is stored as a whole or not at all, however wide its rows are.
    min_insert_block_size_rows: messageCount + 1,
    min_insert_block_size_bytes: 0,
  };
  if (ordered && version.isAtLeast(19, 0)) settings['input_format_parallel_parsing'] = 0;
  // Newer servers gather inserts by default (26.7 does), and may drop no repetition then.
  if (version.isAtLeast(21, 11)) {
    settings['async_insert'] = options.asyncInsert ? 1 : 0;
    if (options.asyncInsert) {
      settings['wait_for_async_insert'] = 1;
      // Gathered inserts have names of their own since 23.7 (pull request 52136 of ClickHouse).
      if (options.deduplicate && version.isAtLeast(23, 7)) settings['async_insert_deduplicate'] = 1;
    }
  }
  if (options.deduplicate) settings['insert_deduplication_token'] = token;
  return { ...settings, ...options.more };
}

/** `NAME=VALUE` texts as settings. */
export function parseSettings(texts: readonly string[]): Settings {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}
