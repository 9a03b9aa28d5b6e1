import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import {
  categoryOfIndex,
  compactJson,
  type DoorAnswer,
  type DoorRequest,
  JsonReader,
  LineBatches,
  RequestError,
  type Verdict,
} from '@chukcha/http-door';
import { type BulkItem, parseBulk } from './bulk-body.js';
import type { ElasticsearchOptions } from './elasticsearch-options.js';

/** Marks the ids that are made up for documents without one; a client may show them, and nobody stores them. */
const idPrefix = randomBytes(6).toString('base64url');
let idCount = 0;

/** What an item takes in the answer, which is kept until the client has read it. */
const answerBytesPerItem = 180;

/** What an item is answered with. */
interface ItemResult {
  readonly status: number;
  readonly error?: { readonly type: string; readonly reason: string };
}

const created: ItemResult = { status: 201 };

/** `POST /_bulk`: each item has a result of its own, and clients send again those with 429. */
export async function answerBulk(
  request: DoorRequest,
  pathIndex: string | undefined,
  options: ElasticsearchOptions,
): Promise<DoorAnswer> {
  const body = await readJsonBody(request);
  const items = parseBulk(body, pathIndex);
  if (items.length === 0) {
    throw new RequestError(
      'batch_empty',
      'The body of _bulk has no items: expected lines with an action and a document, in turn.',
    );
  }
  const results: (ItemResult | undefined)[] = new Array(items.length);
  const lines = new LineBatches(request.limits, (byteCount) => request.reserve(byteCount));
  for (const [index, item] of items.entries()) {
    results[index] = addItem(lines, index, item, request, options);
  }
  const batches = lines.finish();
  request.reserve(items.length * answerBytesPerItem);
  const verdicts = await request.writeAll(batches);
  throwWhenNoneAccepted(request, verdicts);
  for (const [index, batch] of batches.entries()) {
    const result = resultFor(verdicts[index] ?? 'not_accepted');
    for (const item of batch.items) results[item] = result;
  }
  return bulkAnswer(items, results, request.parameter('filter_path') !== undefined);
}

/** `POST /<index>/_doc`: one document. */
export async function answerDocument(
  request: DoorRequest,
  index: string,
  id: string | undefined,
  options: ElasticsearchOptions,
): Promise<DoorAnswer> {
  const body = await readJsonBody(request);
  const reader = new JsonReader(body);
  if (!reader.isAtObject()) throw invalidDocument('it is not an object');
  const item: BulkItem = { action: 'index', index, id, document: readDocument(reader) };
  const lines = new LineBatches(request.limits, (byteCount) => request.reserve(byteCount));
  const problem = addItem(lines, 0, item, request, options);
  if (problem?.error !== undefined) {
    throw new RequestError('message_too_large', `${problem.error.reason} Nothing was accepted.`);
  }
  const verdicts = await request.writeAll(lines.finish());
  throwWhenNoneAccepted(request, verdicts);
  return { status: 201, body: itemBody(item, created) };
}

function readDocument(reader: JsonReader): Buffer {
  try {
    const extent = reader.value();
    reader.expectEnd();
    return compactJson(reader.bytes, extent);
  } catch (error) {
    throw invalidDocument((error as Error).message);
  }
}

async function readJsonBody(request: DoorRequest): Promise<Buffer> {
  const body = await request.readBody();
  if (isUtf8(body)) return body;
  throw new RequestError(
    'invalid_json',
    'The body is not valid UTF-8, as JSON has to be: convert it before it is sent; nothing was accepted.',
  );
}

/** The result of an item that cannot be taken; `undefined` when it is among the lines now. */
function addItem(
  lines: LineBatches,
  index: number,
  item: BulkItem,
  { limits }: DoorRequest,
  options: ElasticsearchOptions,
): ItemResult | undefined {
  if (item.problem !== undefined) {
    return { status: 400, error: { type: item.problem.type, reason: item.problem.reason } };
  }
  const category =
    options.categoryFrom === 'none'
      ? undefined
      : categoryOfIndex(item.index ?? '', options.categoryFrom === 'index');
  const pieces = options.keepAction ? withAction(item) : [item.document];
  if (lines.add(index, category, ...pieces)) return undefined;
  const reason = `The document has more than ${limits.messageBytesMax} bytes with its newline, the limit of a message: split it, or send a reference to its content.`;
  return { status: 413, error: { type: 'document_too_large', reason } };
}

/** The document with `_index` and `_id` in front of its own members. */
function withAction({ index, id, document }: BulkItem): Buffer[] {
  const members = [
    index === undefined ? '' : `"_index":${JSON.stringify(index)}`,
    id === undefined ? '' : `"_id":${JSON.stringify(id)}`,
  ].filter((member) => member !== '');
  const rest = document.subarray(document.indexOf('{') + 1);
  const separator = members.length > 0 && !/^\s*\}/.test(rest.toString('latin1', 0, 64)) ? ',' : '';
  return [Buffer.from(`{${members.join(',')}${separator}`), rest];
}

/** When nothing of the request is in the bus, the whole of it is refused, which every client understands. */
function throwWhenNoneAccepted(request: DoorRequest, verdicts: readonly Verdict[]): void {
  const failed = verdicts.find((verdict) => verdict !== 'accepted');
  if (failed === undefined) return;
  if (verdicts.every((verdict) => verdict === failed)) throw request.refusal(failed);
}

function resultFor(verdict: Verdict): ItemResult {
  if (verdict === 'accepted') return created;
  const reason =
    verdict === 'unknown'
      ? 'The bus did not answer in time and may still store the document: send it again.'
      : 'The bus did not accept the document: send it again.';
  return { status: 429, error: { type: 'es_rejected_execution_exception', reason } };
}

/** @param isShort whether the client asked for some members only, in which case it gets those that clients look at */
function bulkAnswer(
  items: readonly BulkItem[],
  results: readonly (ItemResult | undefined)[],
  isShort: boolean,
): DoorAnswer {
  let hasErrors = false;
  const bodies = items.map((item, index) => {
    const result = results[index] ?? created;
    hasErrors ||= result.error !== undefined;
    return { [item.action]: isShort ? result : itemBody(item, result) };
  });
  return { status: 200, body: { took: 0, errors: hasErrors, items: bodies } };
}

function itemBody({ index, id }: BulkItem, { status, error }: ItemResult): object {
  const names = { _index: index ?? 'chukcha', _id: id ?? newId() };
  if (error !== undefined) return { ...names, status, error };
  return {
    ...names,
    _version: 1,
    result: 'created',
    _shards: { total: 1, successful: 1, failed: 0 },
    _seq_no: 0,
    _primary_term: 1,
    status,
  };
}

function newId(): string {
  idCount += 1;
  return `${idPrefix}${idCount.toString(36).padStart(6, '0')}`;
}

function invalidDocument(detail: string): RequestError {
  return new RequestError(
    'invalid_json',
    `The document cannot be taken (${detail}): expected one JSON object; nothing was accepted.`,
  );
}
