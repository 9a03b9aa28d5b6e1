import type { PluginOptions } from '@chukcha/plugin-api';
import type { ClickHouseEngine } from './clickhouse-engine.js';
import { EmbeddedEngine } from './embedded-engine.js';
import { HttpEngine } from './http-engine.js';
import { type InsertSettingsOptions, parseSettings } from './insert-settings.js';
import { resolveTarget, type Target } from './resolve-target.js';

/** The options of the plugin, joined with the environment. */
export interface OutputConfig {
  readonly target: Target;
  /** Who inserts, for statements that grant rights. */
  readonly user: string;
  readonly format: 'auto' | 'json' | 'text';
  /** The column of text. */
  readonly column: string;
  readonly createTable: boolean;
  readonly idColumn: string;
  readonly compression: 'auto' | 'gzip' | 'none';
  readonly timeoutMs: number;
  readonly insert: InsertSettingsOptions;
}

/** Throws a `PluginError` of kind `operator` for what cannot be meant. */
export function resolveConfig(
  options: PluginOptions,
  environment: Readonly<Record<string, string | undefined>>,
  category: string,
): OutputConfig {
  const target = resolveTarget(options, environment, category);
  const isEmbedded = target.engine.kind === 'directory';
  return {
    target,
    user: target.engine.kind === 'server' ? target.engine.user : 'default',
    format: options['format'] as OutputConfig['format'],
    column: String(options['column']),
    createTable: (options['create_table'] as boolean | undefined) ?? isEmbedded,
    idColumn: String(options['id_column']),
    compression: options['compression'] as OutputConfig['compression'],
    timeoutMs: Number(options['timeout_seconds']) * 1000,
    insert: {
      unknownFields: options['unknown_fields'] as InsertSettingsOptions['unknownFields'],
      asyncInsert: options['async_insert'] === true,
      deduplicate: options['deduplicate'] !== false,
      more: parseSettings((options['settings'] as readonly string[] | undefined) ?? []),
    },
  };
}

/** Makes what the configuration describes; a server is not asked yet. */
export async function openEngine(config: OutputConfig): Promise<ClickHouseEngine> {
  const { engine } = config.target;
  if (engine.kind === 'directory') return EmbeddedEngine.open(engine.directory);
  return new HttpEngine({
    server: engine,
    compression: config.compression,
    timeoutMs: config.timeoutMs,
  });
}
