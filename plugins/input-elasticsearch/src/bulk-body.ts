import { JsonReader, quote, RequestError } from '@chukcha/http-door';

const NEWLINE = 0x0a;

/** How many items a request may have; the answer has some 150 bytes for each. */
const itemCountMax = 100_000;

const noDocument = Buffer.alloc(0);

/** What is wrong with one item, in the words of Elasticsearch. */
interface ItemProblem {
  readonly type: string;
  readonly reason: string;
}

/** An action and its document. */
export interface BulkItem {
  readonly action: 'index' | 'create' | 'update' | 'delete';
  readonly index: string | undefined;
  readonly id: string | undefined;
  /** As it came; empty when there is a problem. */
  readonly document: Buffer;
  readonly problem?: ItemProblem;
}

/**
 * Reads the body of `_bulk`. What is wrong with a document is a problem of its item; what is wrong with an
 * action makes it unclear which lines are documents, so it throws `invalid_request` and names the line.
 */
export function parseBulk(body: Buffer, pathIndex: string | undefined): BulkItem[] {
  const items: BulkItem[] = [];
  const lines = new Lines(body);
  const actions = new ActionReader();
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    // Some clients end the body with an empty line.
    if (new JsonReader(line).skipSpace() === false) continue;
    if (items.length >= itemCountMax) throw tooManyItems();
    items.push(readItem(actions.read(line, lines.number), lines, pathIndex));
  }
  return items;
}

/** Most clients write the same action over and over, which need not be read each time. */
class ActionReader {
  #line = Buffer.alloc(0);
  #action: Action | undefined;

  read(line: Buffer, lineNumber: number): Action {
    if (this.#action !== undefined && this.#line.equals(line)) return this.#action;
    this.#action = readAction(line, lineNumber);
    this.#line = Buffer.from(line);
    return this.#action;
  }
}

class Lines {
  /** Of the line that `next` gave last; counted from 1. */
  number = 0;
  readonly #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  next(): Buffer | undefined {
    if (this.#at >= this.#body.length) return undefined;
    const end = this.#body.indexOf(NEWLINE, this.#at);
    const line = this.#body.subarray(this.#at, end);
    this.#at = end + 1;
    this.number += 1;
    return line;
  }
}

function readItem(
  { action, index, id }: Action,
  lines: Lines,
  pathIndex: string | undefined,
): BulkItem {
  const lineNumber = lines.number;
  const item = { action, index: index ?? pathIndex, id, document: noDocument };
  if (action === 'delete') return { ...item, problem: onlyAdds(action) };
  const document = lines.next();
  if (document === undefined) {
    throw badAction(
      lineNumber,
      'no document follows it, as one has to after index, create and update',
    );
  }
  if (action === 'update') return { ...item, problem: onlyAdds(action) };
  const problem = documentProblem(document);
  return problem === undefined ? { ...item, document } : { ...item, problem };
}

type Action = Pick<BulkItem, 'action' | 'index' | 'id'>;

function readAction(line: Buffer, lineNumber: number): Action {
  let action = '';
  let index: string | undefined;
  let id: string | undefined;
  try {
    const reader = new JsonReader(line);
    reader.members((name) => {
      if (action !== '') reader.fail('one action only');
      action = name;
      reader.members((member) => {
        const { start, end } = reader.value();
        if (member === '_index') index = textOf(line.subarray(start, end));
        if (member === '_id') id = textOf(line.subarray(start, end));
      });
    });
    reader.expectEnd();
  } catch (error) {
    throw badAction(lineNumber, (error as Error).message);
  }
  if (action === 'index' || action === 'create' || action === 'update' || action === 'delete') {
    return { action, index, id };
  }
  throw badAction(lineNumber, `its action is ${quote(action)}`);
}

/** Numbers may stand where texts are meant, and null where nothing is. */
function textOf(value: Buffer): string | undefined {
  const parsed: unknown = JSON.parse(value.toString());
  return parsed === null ? undefined : String(parsed);
}

function documentProblem(document: Buffer): ItemProblem | undefined {
  try {
    const reader = new JsonReader(document);
    if (!reader.isAtObject()) reader.fail('an object');
    reader.value();
    reader.expectEnd();
    return undefined;
  } catch (error) {
    return {
      type: 'document_parsing_exception',
      reason: `The document cannot be read as JSON: ${(error as Error).message}.`,
    };
  }
}

function onlyAdds(action: string): ItemProblem {
  return {
    type: 'illegal_argument_exception',
    reason: `The action ${action} is not possible here, where documents are only added: use index or create.`,
  };
}

function badAction(lineNumber: number, detail: string): RequestError {
  return new RequestError(
    'invalid_request',
    `Line ${lineNumber} of the body is not an action that can be taken (${detail}): expected {"index":{}} or {"create":{}}; nothing was accepted.`,
  );
}

function tooManyItems(): RequestError {
  return new RequestError(
    'batch_too_large',
    `The request has more than ${itemCountMax} items, the limit of one: send it in smaller parts; nothing was accepted.`,
  );
}
