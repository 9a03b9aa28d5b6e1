import { PluginError, type PluginOptions } from '@chukcha/plugin-api';
import { parseAddress } from './parse-address.js';

export interface ServerTarget {
  readonly kind: 'server';
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly caFile?: string;
  readonly user: string;
  readonly password: string;
}

/** An engine without a server. */
interface DirectoryTarget {
  readonly kind: 'directory';
  readonly directory: string;
}

/** Where a table is. */
export interface Target {
  readonly engine: ServerTarget | DirectoryTarget;
  readonly database: string;
  readonly table: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Joins options and environment. The options win; `CLICKHOUSE_URL` counts only when they name neither a host nor a
 * directory, so that its password never goes to another host. Throws a `PluginError` of kind `operator`.
 */
export function resolveTarget(
  options: PluginOptions,
  environment: Environment,
  category: string,
): Target {
  const chosen = withEnvironmentUrl(options, environment);
  const text = (name: string): string | undefined => chosen[name] as string | undefined;
  const table = text('table') ?? category;
  const directory = text('directory');
  if (directory !== undefined) {
    // The variables describe a server: a directory has only the databases that were made in it.
    return {
      engine: { kind: 'directory', directory },
      database: text('database') ?? 'default',
      table,
    };
  }
  const tls = chosen['tls'] === true;
  const caFile = text('ca_file');
  return {
    engine: {
      kind: 'server',
      host: text('host') ?? '127.0.0.1',
      port: (chosen['port'] as number | undefined) ?? (tls ? 8443 : 8123),
      tls,
      ...(caFile === undefined ? {} : { caFile }),
      user: text('user') ?? (environment['CLICKHOUSE_USER'] || 'default'),
      password: text('password') ?? environment['CLICKHOUSE_PASSWORD'] ?? '',
    },
    database: text('database') ?? (environment['CLICKHOUSE_DATABASE'] || 'default'),
    table,
  };
}

function withEnvironmentUrl(options: PluginOptions, environment: Environment): PluginOptions {
  if (options['directory'] !== undefined && options['host'] !== undefined) {
    throw new PluginError(
      'operator',
      'Options host and directory are both set: expected one of them, a server or the directory of an embedded engine.',
    );
  }
  const url = environment['CLICKHOUSE_URL'];
  if (!url || options['host'] !== undefined || options['directory'] !== undefined) return options;
  try {
    const parsed = parseAddress(url.replace(/^clickhouse:/, ''));
    if (parsed['host'] === undefined) throw new Error('expected a server');
    return { ...parsed, ...options };
  } catch (error) {
    throw new PluginError(
      'operator',
      `CLICKHOUSE_URL is not valid (${(error as Error).message}): expected http://host:8123/database or https://host:8443/database.`,
    );
  }
}
