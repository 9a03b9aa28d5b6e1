import { type CheckStep, type OutputContext, PluginError } from '@chukcha/plugin-api';
import { checkMapping } from './check-mapping.js';
import { parseEventTime } from './event-time.js';
import { createIndexName, type IndexName } from './index-name.js';
import { type SampleDocument, sampleDocuments } from './sample-documents.js';
import { parseServerInfo, type ServerInfo } from './server-info.js';
import { RequestError, type ServerAnswer } from './server-request.js';
import { describeError, ServerRing } from './server-ring.js';
import type { TargetOptions } from './target-options.js';

/** What the steps share. */
interface Check {
  readonly options: TargetOptions;
  readonly ring: ServerRing;
  readonly signal: AbortSignal;
  readonly address: string;
  readonly flavour: ServerInfo['flavour'];
  readonly documents: readonly SampleDocument[];
  /** The index that the first document would go to, or a name for any. */
  readonly index: string;
}

/** How long a whole check may take, in milliseconds. */
const checkMsMax = 60_000;

/**
 * Looks at the target step by step and changes nothing: options, servers, version and credentials, index, rights, and the
 * sample against the mapping.
 */
export async function* checkTarget(
  resolveOptions: () => TargetOptions,
  context: OutputContext,
): AsyncGenerator<CheckStep> {
  let options: TargetOptions;
  let index: IndexName;
  try {
    options = resolveOptions();
    index = createIndexName(options.indexTemplate, context.category);
  } catch (error) {
    yield { name: 'options', result: 'failed', detail: (error as Error).message };
    return;
  }
  const ring = new ServerRing(options);
  try {
    yield* checkServers(options, index, ring, context);
  } catch (error) {
    yield { name: 'check', result: 'failed', detail: ring.redact((error as Error).message) };
  } finally {
    ring.close();
  }
}

async function* checkServers(
  options: TargetOptions,
  indexName: IndexName,
  ring: ServerRing,
  context: OutputContext,
): AsyncGenerator<CheckStep> {
  const signal = AbortSignal.timeout(checkMsMax);
  const answers: ServerAnswer[] = [];
  for (const address of ring.addresses) {
    try {
      answers.push(await ring.sendTo(address, { method: 'GET', path: '/' }, signal));
      yield ok('reachable', `${address} answers.`);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      yield {
        name: 'reachable',
        result: ring.addresses.length > 1 ? 'warning' : 'failed',
        detail: ring.redact(`${address} cannot be reached: ${describeError(error)}.`),
        fix: curl(options, address, 'GET', '/'),
      };
    }
  }
  const [answer] = answers;
  if (answer === undefined) {
    if (ring.addresses.length > 1) {
      yield { name: 'reachable', result: 'failed', detail: 'None of the servers can be reached.' };
    }
    return;
  }
  let info: ServerInfo;
  try {
    info = parseServerInfo(answer, ring.describeAnswer(answer));
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    yield {
      name: answer.status === 401 ? 'authentication' : 'version',
      result: 'failed',
      detail: error.message,
      ...(answer.status === 401
        ? { fix: apiKeyRequest(options, answer.host, indexName.pattern) }
        : {}),
    };
    return;
  }
  yield versionStep(info);
  yield ok(
    'authentication',
    options.authorization === undefined
      ? 'The server answers without credentials, and none are set.'
      : 'The server accepts the credentials.',
  );
  const documents = sampleDocuments(await context.sample(), options);
  const check: Check = {
    options,
    ring,
    signal,
    address: answer.host,
    flavour: info.flavour,
    documents,
    index: indexOfSample(options, indexName, documents),
  };
  yield* checkIndex(check);
  yield await checkRights(check);
}

function versionStep({ flavour, version }: ServerInfo): CheckStep {
  if (flavour !== 'unknown') return ok('version', `The server is ${flavour} ${version}.`);
  return {
    name: 'version',
    result: 'warning',
    detail:
      'The user may not ask for the version (403): expected Elasticsearch 7 or OpenSearch 1, or later.',
  };
}

/** An index by date is looked at for the first event of the sample that has a time. */
function indexOfSample(
  options: TargetOptions,
  index: IndexName,
  documents: readonly SampleDocument[],
): string {
  if (index.fixed !== undefined) return index.fixed;
  for (const { fields } of documents) {
    const time = parseEventTime(fields[options.timeField]);
    if (time !== undefined) return index.at(time);
  }
  return index.at(new Date(0));
}

async function* checkIndex(check: Check): AsyncGenerator<CheckStep> {
  const { ring, index, signal } = check;
  const path = `/${encodeURIComponent(index)}`;
  const answer = await ring.send({ method: 'GET', path }, signal);
  if (answer.status === 404) {
    yield* checkMissingIndex(check);
    return;
  }
  if (answer.status !== 200) {
    yield {
      name: 'index',
      result: 'warning',
      detail: `Index ${index} could not be looked at: ${ring.describeAnswer(answer)}.`,
    };
    return;
  }
  const found = JSON.parse(answer.body.toString()) as Readonly<Record<string, IndexDescription>>;
  const streams = await readJson<{ data_streams?: readonly unknown[] }>(
    check,
    `/_data_stream/${encodeURIComponent(index)}`,
  );
  const isDataStream = (streams?.data_streams?.length ?? 0) > 0;
  yield describeIndex(check, found, isDataStream);
  if (isDataStream) yield* checkDataStream(check);
  // The newest backing index of a data stream or alias comes last by its name.
  const mappings =
    Object.entries(found)
      .sort(([first], [second]) => (first < second ? -1 : 1))
      .at(-1)?.[1].mappings ?? {};
  yield checkMapping(mappings, check.documents, (body) =>
    curl(check.options, check.address, 'PUT', `${path}/_mapping`, body),
  );
}

interface IndexDescription {
  readonly mappings?: Readonly<Record<string, unknown>>;
  readonly settings?: { readonly index?: { readonly blocks?: Readonly<Record<string, string>> } };
}

function describeIndex(
  check: Check,
  found: Readonly<Record<string, IndexDescription>>,
  isDataStream: boolean,
): CheckStep {
  const names = Object.keys(found);
  const { index, options, address } = check;
  const blocked = Object.entries(found).find(([, { settings }]) =>
    Object.entries(settings?.index?.blocks ?? {}).some(
      ([name, value]) => /^(write|read_only)/.test(name) && value === 'true',
    ),
  );
  if (blocked !== undefined) {
    return {
      name: 'index',
      result: 'failed',
      detail: `Index ${blocked[0]} does not take writes: it has the blocks ${Object.keys(blocked[1].settings?.index?.blocks ?? {}).join(', ')}.`,
      fix: curl(options, address, 'PUT', `/${encodeURIComponent(blocked[0])}/_settings`, {
        'index.blocks.write': null,
        'index.blocks.read_only': null,
        'index.blocks.read_only_allow_delete': null,
      }),
    };
  }
  if (isDataStream)
    return ok('index', `${index} is a data stream of ${names.length} backing indexes.`);
  if (names.includes(index)) return ok('index', `Index ${index} is there.`);
  return ok('index', `${index} is an alias of ${names.join(', ')}.`);
}

function* checkDataStream({ options, documents, index }: Check): Generator<CheckStep> {
  if (options.action === 'index') {
    yield {
      name: 'data stream',
      result: 'failed',
      detail: `${index} is a data stream, which takes no action index: expected action create.`,
      fix: '--set action=create',
    };
  }
  const missing = documents.filter(({ fields }) => fields['@timestamp'] === undefined).length;
  if (missing > 0) {
    yield {
      name: 'data stream',
      result: 'failed',
      detail: `${missing} of ${documents.length} messages of the sample have no field @timestamp, which every document of a data stream needs: they would become dead letters. Write messages that have it.`,
    };
  }
}

interface SettingsLevel {
  readonly action?: { readonly auto_create_index?: string };
}

/** The levels of settings; what stands in an earlier one counts. */
interface ClusterSettings {
  readonly transient?: SettingsLevel;
  readonly persistent?: SettingsLevel;
  readonly defaults?: SettingsLevel;
}

/** Whether the server would create the index with the first document. */
async function* checkMissingIndex(check: Check): AsyncGenerator<CheckStep> {
  const { index, options, address } = check;
  const settings = await readJson<ClusterSettings>(
    check,
    '/_cluster/settings?include_defaults=true&filter_path=*.action.auto_create_index',
  );
  const { transient, persistent, defaults } = settings ?? {};
  const rule = [transient, persistent, defaults]
    .map((level) => level?.action?.auto_create_index)
    .find((value) => value !== undefined);
  const path = `/${encodeURIComponent(index)}`;
  if (rule === 'false') {
    yield {
      name: 'index',
      result: 'failed',
      detail: `Index ${index} is not there, and the server creates none by itself (action.auto_create_index is false).`,
      fix: curl(options, address, 'PUT', path),
    };
    return;
  }
  const isKnown = rule === undefined || rule === 'true';
  yield {
    name: 'index',
    result: isKnown ? 'ok' : 'warning',
    detail: isKnown
      ? `Index ${index} is not there yet; the server creates it with the first document.`
      : `Index ${index} is not there yet; the server creates it when its rule action.auto_create_index allows that: ${String(rule)}.`,
    ...(isKnown ? {} : { fix: curl(options, address, 'PUT', path) }),
  };
}

/** Only the security of Elasticsearch can be asked for rights without writing. */
async function checkRights(check: Check): Promise<CheckStep> {
  const { ring, signal, index, options, address, flavour } = check;
  const privileges = ['create_doc', 'auto_configure'];
  const body = { index: [{ names: [index], privileges }] };
  const answer = await ring.send(
    {
      method: 'POST',
      path: '/_security/user/_has_privileges',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(body)),
    },
    signal,
  );
  const granted =
    answer.status === 200
      ? (JSON.parse(answer.body.toString()) as { index?: Record<string, Record<string, boolean>> })
          .index?.[index]
      : undefined;
  if (granted === undefined) {
    return {
      name: 'rights',
      result: options.authorization === undefined ? 'ok' : 'warning',
      detail:
        options.authorization === undefined
          ? 'The server asks for no credentials, so it has no rights to check.'
          : `Rights could not be looked at on this server (${flavour}): the user needs those to create documents${flavour === 'OpenSearch' ? ', indices:data/write/bulk* and indices:admin/create' : ''}.`,
    };
  }
  if (granted['create_doc'] !== true) {
    return {
      name: 'rights',
      result: 'failed',
      detail: `The credentials do not have the privilege create_doc on ${index}.`,
      fix: apiKeyRequest(options, address, index),
    };
  }
  if (granted['auto_configure'] !== true) {
    return {
      name: 'rights',
      result: 'warning',
      detail: `The credentials may create documents in ${index}, but not the index or new fields (auto_configure).`,
      fix: apiKeyRequest(options, address, index),
    };
  }
  return ok('rights', `The credentials may create documents in ${index}.`);
}

async function readJson<Answer>(check: Check, path: string): Promise<Answer | undefined> {
  const answer = await check.ring.send({ method: 'GET', path }, check.signal);
  if (answer.status !== 200) return undefined;
  return JSON.parse(answer.body.toString()) as Answer;
}

function apiKeyRequest(options: TargetOptions, address: string, index: string): string {
  return curl(options, address, 'POST', '/_security/api_key', {
    name: 'chukcha',
    role_descriptors: {
      chukcha: {
        cluster: ['monitor'],
        index: [
          { names: [index], privileges: ['create_doc', 'auto_configure', 'view_index_metadata'] },
        ],
      },
    },
  });
}

/** The request as people would send it; who they are is theirs to fill in. */
function curl(
  options: TargetOptions,
  address: string,
  method: string,
  path: string,
  body?: unknown,
): string {
  const parts = ['curl'];
  if (options.authorization !== undefined) parts.push('-u "$ADMIN"');
  parts.push(`-X ${method}`, `'${address}${path}'`);
  if (body !== undefined) {
    // Names of fields come from messages: a quote in them must not end the argument.
    const text = JSON.stringify(body).replaceAll("'", "'\\''");
    parts.push("-H 'content-type: application/json'", `-d '${text}'`);
  }
  return parts.join(' ');
}

function ok(name: string, detail: string): CheckStep {
  return { name, result: 'ok', detail };
}
