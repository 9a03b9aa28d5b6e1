import { type CheckStep, type OutputContext, PluginError } from '@chukcha/plugin-api';
import { checkIndex } from './check-index.js';
import { checkRights } from './check-rights.js';
import { apiKeyRequest, curl } from './curl-command.js';
import { parseEventTime } from './event-time.js';
import { createIndexName, type IndexName } from './index-name.js';
import { type SampleDocument, sampleDocuments } from './sample-documents.js';
import { parseServerInfo, type ServerInfo } from './server-info.js';
import { RequestError, type ServerAnswer } from './server-request.js';
import { describeError, ServerRing } from './server-ring.js';
import { ok, type TargetCheck } from './target-check.js';
import type { TargetOptions } from './target-options.js';

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
  const check: TargetCheck = {
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
