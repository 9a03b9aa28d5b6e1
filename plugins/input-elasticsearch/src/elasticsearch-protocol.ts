import {
  type DoorAnswer,
  type DoorProtocol,
  type DoorRequest,
  RequestError,
} from '@chukcha/http-door';
import { answerBulk, answerDocument } from './bulk.js';
import type { ElasticsearchOptions } from './elasticsearch-options.js';
import { answerProbe } from './probes.js';

/** Clients of Elasticsearch go on only when the answer says that it is one. */
const productHeaders = { 'X-elastic-product': 'Elasticsearch' };

/** What Elasticsearch calls the errors that its clients look at by name. */
const typeOfStatus: Readonly<Record<number, string>> = {
  400: 'illegal_argument_exception',
  401: 'security_exception',
  404: 'resource_not_found_exception',
  405: 'method_not_allowed',
  413: 'content_too_long_exception',
  415: 'media_type_header_exception',
  429: 'es_rejected_execution_exception',
};

/** The bulk interface, single documents, and the questions that clients ask before they send. */
export function createElasticsearchProtocol(options: ElasticsearchOptions): DoorProtocol {
  return {
    name: 'elasticsearch',
    answer: async (request) => {
      const { status, body, headers } = await answer(request, options);
      return { status, body, headers: { ...productHeaders, ...headers } };
    },
    refuse: (error) => {
      const type = typeOfStatus[error.status] ?? 'unavailable_exception';
      const cause = { type, reason: error.message };
      return {
        status: error.status,
        body: { error: { root_cause: [cause], ...cause }, status: error.status },
        headers: productHeaders,
      };
    },
  };
}

async function answer(request: DoorRequest, options: ElasticsearchOptions): Promise<DoorAnswer> {
  const parts = pathParts(request.path);
  const isWrite = request.method === 'POST' || request.method === 'PUT';
  if (isWrite && parts.at(-1) === '_bulk' && parts.length <= 3) {
    // Between the index and `_bulk` old clients have a type, which says nothing.
    return await answerBulk(request, parts.length > 1 ? parts[0] : undefined, options);
  }
  if (isWrite && isDocumentPath(parts)) {
    return await answerDocument(request, parts[0] ?? '', parts[2], options);
  }
  const probe = await answerProbe(request, parts, options);
  if (probe !== undefined) return probe;
  throw new RequestError(
    'not_found',
    `${request.method} ${request.path.slice(0, 200)} is not answered here, where documents are only taken: expected POST /_bulk, /<index>/_bulk or /<index>/_doc.`,
  );
}

/** `/<index>/_doc`, `/<index>/_create/<id>`, and `/<index>/<type>` of old clients. */
function isDocumentPath(parts: readonly string[]): boolean {
  const [index = '_', kind = '_'] = parts;
  if (parts.length > 3 || index.startsWith('_')) return false;
  return kind === '_doc' || kind === '_create' || !kind.startsWith('_');
}

function pathParts(path: string): string[] {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    throw new RequestError(
      'invalid_request',
      `The path ${JSON.stringify(path.slice(0, 200))} is not encoded as a URL has to be: expected %XX with two hexadecimal digits.`,
    );
  }
}
