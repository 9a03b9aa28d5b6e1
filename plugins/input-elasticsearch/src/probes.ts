import type { DoorAnswer, DoorRequest } from '@chukcha/http-door';
import type { ElasticsearchOptions } from './elasticsearch-options.js';

/** Looks like the id of a cluster; clients only compare it with itself. */
const clusterUuid = 'chukchaInputElasticsear';

/** What clients manage before they send; here everything of the kind is there already. */
const managedKinds: ReadonlySet<string> = new Set([
  '_index_template',
  '_template',
  '_component_template',
  '_ilm',
  '_ingest',
  '_data_stream',
  '_alias',
]);

/**
 * Answers what clients ask before they send. Templates, policies and indexes are said to be there, so that
 * clients do not set them up; one that does all the same is told that it was done, and the log says that
 * it was not. `undefined` for what is no such question.
 */
export async function answerProbe(
  request: DoorRequest,
  parts: readonly string[],
  options: ElasticsearchOptions,
): Promise<DoorAnswer | undefined> {
  const [first = '', second = ''] = parts;
  const isQuestion = request.method === 'GET' || request.method === 'HEAD';
  if (isQuestion && parts.length === 0) return ok(rootBody(options.version));
  if (isQuestion && first === '_cluster' && second === 'health') return ok(clusterHealth);
  if (isQuestion && first === '_cat') return catAnswer(second);
  if (isQuestion && first === '_license') return ok({ license });
  if (isQuestion && first === '_xpack') return ok({ license, features });
  if (isQuestion && first === '_nodes') return ok(nodesBody(request, options.version));
  // Whatever was answered can be read already, which is what clients ask for by these.
  if (parts.at(-1) === '_refresh' || parts.at(-1) === '_flush') return ok({ _shards: shards });
  if (managedKinds.has(first)) return await answerManaged(request, parts, options);
  if (parts.length === 1 && !first.startsWith('_')) {
    return await answerManaged(request, ['index', first], options);
  }
  return undefined;
}

const license = {
  status: 'active',
  uid: '00000000-0000-0000-0000-000000000000',
  type: 'basic',
  mode: 'basic',
  issue_date_in_millis: 0,
  issued_to: 'chukcha',
  issuer: 'chukcha',
};

const features = {
  ilm: { available: true, enabled: true },
  security: { available: true, enabled: false },
};

const shards = { total: 1, successful: 1, failed: 0 };

const clusterHealth = {
  cluster_name: 'chukcha',
  status: 'green',
  timed_out: false,
  number_of_nodes: 1,
  number_of_data_nodes: 1,
  active_primary_shards: 0,
  active_shards: 0,
  relocating_shards: 0,
  initializing_shards: 0,
  unassigned_shards: 0,
  active_shards_percent_as_number: 100,
};

function rootBody(version: string): object {
  return {
    name: 'chukcha',
    cluster_name: 'chukcha',
    cluster_uuid: clusterUuid,
    version: {
      number: version,
      build_flavor: 'default',
      build_type: 'tar',
      build_hash: '0000000000000000000000000000000000000000',
      build_date: '2025-01-01T00:00:00.000000000Z',
      build_snapshot: false,
      lucene_version: '9.12.0',
      minimum_wire_compatibility_version: '7.17.0',
      minimum_index_compatibility_version: '7.0.0',
    },
    tagline: 'You Know, for Search',
  };
}

function catAnswer(what: string): DoorAnswer | undefined {
  return what === 'health'
    ? { status: 200, body: '0 00:00:00 chukcha green 1 1 0 0 0 0 0 0 - 100.0%\n' }
    : undefined;
}

/** For clients that look for the nodes of a cluster: the one that they talk to. */
function nodesBody(request: DoorRequest, version: string): object {
  const address = request.header('Host');
  const node = {
    name: 'chukcha',
    version,
    roles: ['data', 'ingest', 'master'],
    http: { bound_address: [address], publish_address: address },
  };
  return {
    _nodes: { total: 1, successful: 1, failed: 0 },
    cluster_name: 'chukcha',
    nodes: { chukcha: node },
  };
}

async function answerManaged(
  request: DoorRequest,
  parts: readonly string[],
  { log }: ElasticsearchOptions,
): Promise<DoorAnswer | undefined> {
  const [kind = ''] = parts;
  const name = parts.at(-1) ?? '';
  if (request.method === 'GET' || request.method === 'HEAD') return ok(managedBody(kind, name));
  if (request.method !== 'PUT' && request.method !== 'POST') return undefined;
  log.info('A client has set up something of Elasticsearch, which means nothing here.', {
    kind,
    name: name.slice(0, 200),
  });
  // Read, so that the connection can be used for the next request.
  if (Number(request.header('Content-Length') || 0) > 0) await request.readBody();
  return ok({ acknowledged: true, shards_acknowledged: true, index: name });
}

/** In the form of each kind, as far as clients look into it. */
function managedBody(kind: string, name: string): object {
  switch (kind) {
    case '_index_template':
      return { index_templates: [{ name, index_template: { index_patterns: [`${name}*`] } }] };
    case '_component_template':
      return { component_templates: [{ name, component_template: { template: {} } }] };
    case '_template':
      return { [name]: { index_patterns: [`${name}*`], settings: {}, mappings: {}, aliases: {} } };
    case '_ilm':
      return { [name]: { version: 1, policy: { phases: {} } } };
    case '_ingest':
      return { [name]: { processors: [] } };
    case '_data_stream':
      return { data_streams: [{ name, indices: [], generation: 1, status: 'GREEN' }] };
    default:
      return { [name]: { aliases: {}, mappings: {}, settings: {} } };
  }
}

function ok(body: object): DoorAnswer {
  return { status: 200, body };
}
