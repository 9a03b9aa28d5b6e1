import type { MessageFailure } from '@chukcha/plugin-api';
import { PluginError } from '@chukcha/plugin-api';

/** The part of an answer that is asked for: the rest of it is larger than the documents. */
export const bulkFilterPath = [
  'errors',
  'items.*.status',
  'items.*.error.type',
  'items.*.error.reason',
  'items.*.error.caused_by.type',
  'items.*.error.caused_by.reason',
].join(',');

const comma = 0x2c;

/** How much of the server's reason is kept, in characters. */
const reasonCharactersMax = 1_000;

/** What the server says of one document. */
interface ItemResult {
  readonly status: number;
  readonly error?: ItemError;
}

interface ItemError {
  readonly type?: string;
  readonly reason?: string;
  readonly caused_by?: ItemError;
}

/** What became of the messages of a body. */
export interface BulkResult {
  readonly failures: readonly MessageFailure[];
  /** Why only a person can help, when some documents were refused for that; those are in `failures` as transient. */
  readonly operatorReason: string | undefined;
  readonly duplicateCount: number;
}

/** Errors that say nothing about the document: somebody has to mend the index or the rights. */
const operatorTypes: ReadonlySet<string> = new Set([
  'index_not_found_exception',
  'index_closed_exception',
  'invalid_index_name_exception',
  'security_exception',
  'authorization_exception',
  'cluster_block_exception',
  'validation_exception',
  'no_matching_index_template_exception',
]);

/** Of the type illegal_argument_exception, but about the request. */
const operatorReasons =
  /only write ops with an op_type of create|pipeline with id \[|no write index is defined for alias|more than one ind(?:ex|ices)|maximum.*shards open|is not a data stream/;

/**
 * Reads the answer to a body. Every document has to have its result: an answer with less or more throws a `PluginError` of
 * kind `transient`, because nothing is known then.
 */
export function readBulkResult(
  answer: Buffer,
  indexes: Uint32Array,
  keepsDuplicates: boolean,
): BulkResult {
  const common = parseCommonItem(answer, indexes.length);
  if (common !== undefined && common.status >= 200 && common.status < 300)
    return { failures: [], operatorReason: undefined, duplicateCount: 0 };
  const items = parseItems(answer, indexes.length);
  const failures: MessageFailure[] = [];
  let operatorReason: string | undefined;
  let duplicateCount = 0;
  for (const [place, item] of items.entries()) {
    if (item.status >= 200 && item.status < 300) continue;
    if (item.status === 409 && keepsDuplicates) {
      duplicateCount += 1;
      continue;
    }
    const reason = describe(item);
    const kind = classify(item);
    if (kind === 'operator') operatorReason ??= reason;
    const index = indexes[place] as number;
    failures.push({ index, reason, kind: kind === 'data' ? 'data' : 'transient' });
  }
  return { failures, operatorReason, duplicateCount };
}

/**
 * The result of all documents where the answer says the same of each, in the same bytes, which is the rule: then one of them
 * is parsed instead of thousands. `undefined` for every other answer.
 *
 *     {"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}
 *                              |--- itemBytes ---------|
 */
function parseCommonItem(answer: Buffer, count: number): ItemResult | undefined {
  const start = answer.indexOf('[') + 1;
  const end = answer.length - ']}'.length;
  const itemBytes = (end - start + 1) / count;
  if (start === 0 || count < 2 || !Number.isInteger(itemBytes) || itemBytes < 2) return undefined;
  if (answer[start + itemBytes - 1] !== comma) return undefined;
  // Every byte is the one that stands an item further.
  const isRepeated = answer
    .subarray(start, end - itemBytes)
    .equals(answer.subarray(start + itemBytes, end));
  if (!isRepeated) return undefined;
  const [head, item, tail] = [
    answer.subarray(0, start),
    answer.subarray(start, start + itemBytes - 1),
    answer.subarray(end),
  ];
  try {
    const { items } = JSON.parse(`${head}${item}${tail}`) as { items?: unknown };
    // What is repeated could be two items, or something else than items.
    return Array.isArray(items) && items.length === 1 ? resultOf(items[0]) : undefined;
  } catch {
    // The whole answer is parsed then, and refused with its text.
    return undefined;
  }
}

function parseItems(answer: Buffer, countExpected: number): readonly ItemResult[] {
  let items: unknown;
  try {
    items = (JSON.parse(answer.toString()) as { items?: unknown } | null)?.items;
  } catch (cause) {
    throw new PluginError(
      'transient',
      `The answer to a _bulk request is not JSON (${answer.length} bytes, ${JSON.stringify(answer.toString('latin1', 0, 80))}): ` +
        'expected the results of a server; look at what stands between it and here.',
      { cause },
    );
  }
  const results = Array.isArray(items) ? items.map(resultOf) : [];
  if (results.length === countExpected && !results.includes(undefined))
    return results as ItemResult[];
  throw new PluginError(
    'transient',
    `The answer to a _bulk request has ${results.filter((result) => result !== undefined).length} results for ${countExpected} documents: expected one for each, so the documents are sent again.`,
  );
}

/** The result in `{"create":{"status":201}}`. */
function resultOf(item: unknown): ItemResult | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const result = ((item as { create?: unknown }).create ?? (item as { index?: unknown }).index) as
    | ItemResult
    | undefined;
  return Number.isInteger(result?.status) ? result : undefined;
}

/** Whose business an error is; see the tables above. */
function classify({ status, error }: ItemResult): 'data' | 'transient' | 'operator' {
  // A conflict of `index` is one of two writers at the same moment.
  if (status === 409 || status === 429 || status === 408 || status >= 500) return 'transient';
  if (status === 401 || status === 403) return 'operator';
  if (operatorTypes.has(error?.type ?? '')) return 'operator';
  if (error?.type === 'illegal_argument_exception' && operatorReasons.test(error.reason ?? '')) {
    return 'operator';
  }
  return 'data';
}

function describe({ status, error }: ItemResult): string {
  const parts: string[] = [];
  for (let cause = error; cause !== undefined && parts.length < 3; cause = cause.caused_by) {
    parts.push(`${cause.type ?? 'error'}: ${cause.reason ?? 'without a reason'}`);
  }
  const text = parts.length === 0 ? 'without a reason' : parts.join('; caused by ');
  const cut = text.length > reasonCharactersMax ? `${text.slice(0, reasonCharactersMax)}...` : text;
  return `The server answered ${status}: ${cut}`;
}
