import { readFileSync } from 'node:fs';
import { PluginError, type PluginOptions } from '@chukcha/plugin-api';

/** What the output was asked for, with the environment filled in. */
export interface TargetOptions {
  /** Base addresses without credentials, such as `https://search1:9200`. */
  readonly hosts: readonly string[];
  readonly indexTemplate: string;
  readonly timeField: string;
  readonly id: 'coordinates' | 'auto';
  readonly idField: string | undefined;
  readonly action: 'create' | 'index';
  readonly format: 'auto' | 'json' | 'text';
  readonly textField: string;
  readonly authorization: string | undefined;
  /** What no error and no log may show. */
  readonly secrets: readonly string[];
  readonly tls: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
  };
  readonly gzip: boolean;
  readonly bodyBytesMax: number;
  readonly inFlightMax: number;
  readonly requestTimeoutMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const portDefault = 9200;

/**
 * Fills in what the environment has, and reads the certificates. Throws a `PluginError` of kind `operator` for what
 * cannot be used.
 *
 * @param variables how the names of environment variables begin: `ELASTICSEARCH` or `OPENSEARCH`
 */
export function resolveTargetOptions(
  options: PluginOptions,
  variables: string,
  environment: Environment,
): TargetOptions {
  const text = (name: string): string | undefined =>
    (options[name] as string | undefined) || undefined;
  const fromEnvironment = (suffix: string): string | undefined =>
    environment[`${variables}_${suffix}`] || undefined;
  const address = text('hosts') ?? fromEnvironment('URL');
  if (address === undefined) {
    throw new PluginError(
      'operator',
      `No server was named: write it into the address, as in ${variables.toLowerCase()}://host:9200/index, or set ${variables}_URL.`,
    );
  }
  const urls = address.split(',').map((host) => parseHost(host.trim(), options['tls'] === true));
  // A host's own credentials are what the environment's ELASTICSEARCH_URL often has.
  const withUser = urls.find(({ username }) => username !== '');
  const username =
    text('username') ?? decodePart(withUser?.username) ?? fromEnvironment('USERNAME');
  const password =
    text('password') ?? decodePart(withUser?.password) ?? fromEnvironment('PASSWORD');
  const apiKey =
    text('api_key') ?? (username === undefined ? fromEnvironment('API_KEY') : undefined);
  return {
    hosts: urls.map(({ origin, pathname }) => origin + pathname.replace(/\/+$/, '')),
    indexTemplate: text('index') ?? '{category}',
    timeField: text('time_field') ?? '@timestamp',
    id: options['id'] === 'auto' ? 'auto' : 'coordinates',
    idField: text('id_field'),
    action: options['action'] === 'index' ? 'index' : 'create',
    format: (text('format') ?? 'auto') as TargetOptions['format'],
    textField: text('text_field') ?? 'message',
    ...createAuthorization(username, password, apiKey),
    tls: {
      ...readCertificate('ca', 'ca_file', text('ca_file') ?? fromEnvironment('CA_FILE')),
      ...readCertificate('cert', 'client_certificate_file', text('client_certificate_file')),
      ...readCertificate('key', 'client_key_file', text('client_key_file')),
    },
    gzip: options['gzip'] === true,
    bodyBytesMax: (options['body_bytes_max'] as number | undefined) ?? 8 * 1024 * 1024,
    inFlightMax: (options['in_flight_max'] as number | undefined) ?? 2,
    requestTimeoutMs: (options['request_timeout_ms'] as number | undefined) ?? 60_000,
  };
}

function parseHost(host: string, tls: boolean): URL {
  const text = /^https?:\/\//.test(host) ? host : `${tls ? 'https' : 'http'}://${host}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new PluginError(
      'operator',
      // Everything before an @ may be a password.
      `Host ${JSON.stringify(host.replace(/^.*@/, ''))} is not valid: expected a name or an address with a port, as in search1:9200 or [::1]:9200.`,
    );
  }
  // An explicit :80 or :443 is lost in `url.port`, so it is looked for in the text.
  if (url.port === '' && !/:\d+\/*$/.test(text)) url.port = String(portDefault);
  return url;
}

function decodePart(text: string | undefined): string | undefined {
  return text ? decodeURIComponent(text) : undefined;
}

function createAuthorization(
  username: string | undefined,
  password: string | undefined,
  apiKey: string | undefined,
): Pick<TargetOptions, 'authorization' | 'secrets'> {
  if (apiKey !== undefined) {
    // Keys are also handed around as id:key, which the server wants encoded.
    const encoded = apiKey.includes(':') ? Buffer.from(apiKey).toString('base64') : apiKey;
    return { authorization: `ApiKey ${encoded}`, secrets: [apiKey, encoded] };
  }
  if (username === undefined) return { authorization: undefined, secrets: [] };
  const encoded = Buffer.from(`${username}:${password ?? ''}`).toString('base64');
  return {
    authorization: `Basic ${encoded}`,
    secrets: password === undefined ? [encoded] : [password, encoded],
  };
}

function readCertificate(
  key: 'ca' | 'cert' | 'key',
  option: string,
  path: string | undefined,
): TargetOptions['tls'] {
  if (path === undefined) return {};
  try {
    return { [key]: readFileSync(path) };
  } catch (cause) {
    throw new PluginError(
      'operator',
      `File ${path} of option ${option} cannot be read (${(cause as Error).message}): expected a PEM file.`,
      { cause },
    );
  }
}
