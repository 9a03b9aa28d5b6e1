import { PluginError } from '@chukcha/plugin-api';
import type { ServerAnswer } from './server-request.js';
import type { ServerRing } from './server-ring.js';

/** Who a server says that it is. */
export interface ServerInfo {
  readonly flavour: 'Elasticsearch' | 'OpenSearch' | 'unknown';
  readonly version: string;
}

/** Before these, documents had types, and a `_bulk` request without them is refused. */
const majorVersionMin = { Elasticsearch: 7, OpenSearch: 1, unknown: 0 };

/**
 * Asks a server for its name. A user that may write but not look is common: with 403 the server counts as unknown, which
 * is enough for delivery. Throws a `PluginError`.
 */
export async function readServerInfo(ring: ServerRing, signal: AbortSignal): Promise<ServerInfo> {
  const answer = await ring.send({ method: 'GET', path: '/' }, signal);
  return parseServerInfo(answer, ring.describeAnswer(answer));
}

/** As {@link readServerInfo}, for an answer that is there. */
export function parseServerInfo(answer: ServerAnswer, said: string): ServerInfo {
  const { host, status } = answer;
  if (status === 403) return { flavour: 'unknown', version: 'unknown' };
  if (status === 401) {
    throw new PluginError(
      'operator',
      `Server ${host} does not accept who is asking: ${said}. Set a user and password or an API key that it knows.`,
    );
  }
  if (status === 408 || status === 429 || status >= 500) {
    throw new PluginError('transient', `Server ${host} cannot be used now: ${said}.`);
  }
  const info = status === 200 ? readVersion(answer.body) : undefined;
  if (info === undefined) {
    throw new PluginError(
      'operator',
      `Server ${host} is neither Elasticsearch nor OpenSearch: ${said}. Check the address; the port is 9200 where nobody changed it.`,
    );
  }
  const major = Number.parseInt(info.version, 10);
  if (major < majorVersionMin[info.flavour]) {
    throw new PluginError(
      'operator',
      `Server ${host} is ${info.flavour} ${info.version}: expected ${majorVersionMin[info.flavour]} or later.`,
    );
  }
  return info;
}

function readVersion(body: Buffer): ServerInfo | undefined {
  try {
    const { version, tagline } = JSON.parse(body.toString()) as {
      version?: { number?: unknown; distribution?: unknown };
      tagline?: unknown;
    };
    if (typeof version?.number !== 'string') return undefined;
    const isOpenSearch =
      version.distribution === 'opensearch' || String(tagline).startsWith('The OpenSearch Project');
    return { flavour: isOpenSearch ? 'OpenSearch' : 'Elasticsearch', version: version.number };
  } catch {
    return undefined;
  }
}
