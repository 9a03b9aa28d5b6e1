import { isUtf8 } from 'node:buffer';
import { compactJson, JsonReader, type LineBatches, RequestError } from '@chukcha/http-door';

/** How many places of records are named. */
const namedCountMax = 20;

/** The names that members may have: protobuf's own are to be taken as well as those of JSON. */
const namesOf = {
  resourceLogs: ['resourceLogs', 'resource_logs'],
  scopeLogs: ['scopeLogs', 'scope_logs', 'instrumentationLibraryLogs'],
  logRecords: ['logRecords', 'log_records', 'logs'],
  resource: ['resource'],
  scope: ['scope', 'instrumentationLibrary'],
  schemaUrl: ['schemaUrl', 'schema_url'],
} as const;

/** Only null begins with it. */
const LETTER_N = 0x6e;

const comma = Buffer.from(',');
const nothing = Buffer.alloc(0);

/** Makes a line of each log record: the record with its resource and its scope in front of its own members. */
export class LogRecords {
  /** The places of the records that are too long, counted from 0. */
  readonly tooLong: number[] = [];
  readonly #body: Buffer;
  readonly #lines: LineBatches;
  #count = 0;

  constructor(body: Buffer, lines: LineBatches) {
    this.#body = body;
    this.#lines = lines;
  }

  /** Throws `invalid_json`; nothing of the lines may be used then. */
  addAll(): void {
    if (!isUtf8(this.#body)) throw invalid('it is not valid UTF-8');
    try {
      // The whole is checked first, so that what is looked into afterwards has no surprises.
      const reader = new JsonReader(this.#body);
      if (!reader.isAtObject()) reader.fail('an object');
      const { start, end } = reader.value();
      reader.expectEnd();
      const members = this.#members(start, end);
      this.#each(find(members, namesOf.resourceLogs), (...extent) => this.#addResource(...extent));
    } catch (error) {
      const isPlain = error instanceof RequestError && error.code === 'invalid_json';
      throw isPlain ? invalid(error.message) : error;
    }
  }

  describeTooLong(): string {
    const named = this.tooLong.slice(0, namedCountMax).join(', ');
    const more = this.tooLong.length - namedCountMax;
    return more > 0 ? `${named} and ${more} more` : named;
  }

  #addResource(start: number, end: number): void {
    const members = this.#members(start, end);
    const prefix = Buffer.concat([
      Buffer.from('{"resource":'),
      this.#compact(find(members, namesOf.resource)) ?? Buffer.from('{}'),
      this.#optional('resourceSchemaUrl', find(members, namesOf.schemaUrl)),
    ]);
    this.#each(find(members, namesOf.scopeLogs), (...extent) => this.#addScope(prefix, ...extent));
  }

  #addScope(resourcePrefix: Buffer, start: number, end: number): void {
    const members = this.#members(start, end);
    const prefix = Buffer.concat([
      resourcePrefix,
      Buffer.from(',"scope":'),
      this.#compact(find(members, namesOf.scope)) ?? Buffer.from('{}'),
      this.#optional('scopeSchemaUrl', find(members, namesOf.schemaUrl)),
    ]);
    this.#each(find(members, namesOf.logRecords), (...extent) =>
      this.#addRecord(prefix, ...extent),
    );
  }

  #addRecord(prefix: Buffer, start: number, end: number): void {
    const reader = new JsonReader(this.#body, start, end);
    if (!reader.isAtObject()) reader.fail('a log record, which is an object');
    const record = compactJson(this.#body, reader.value());
    const isEmpty = record.length === 2;
    const item = this.#count;
    this.#count += 1;
    const separator = isEmpty ? nothing : comma;
    if (!this.#lines.add(item, undefined, prefix, separator, record.subarray(1))) {
      this.tooLong.push(item);
    }
  }

  /** The values of an object's members but null, which means the same as none; of one that comes twice, the last. */
  #members(start: number, end: number): Map<string, readonly [start: number, end: number]> {
    const members = new Map<string, readonly [number, number]>();
    const reader = new JsonReader(this.#body, start, end);
    reader.members((name) => {
      const value = reader.value();
      if (this.#body[value.start] !== LETTER_N) members.set(name, [value.start, value.end]);
    });
    return members;
  }

  #each(
    extent: readonly [number, number] | undefined,
    visit: (start: number, end: number) => void,
  ): void {
    if (extent === undefined) return;
    const reader = new JsonReader(this.#body, ...extent);
    if (!reader.isAtArray()) reader.fail('an array');
    reader.elements(() => {
      const { start, end } = reader.value();
      visit(start, end);
    });
  }

  #compact(extent: readonly [number, number] | undefined): Buffer | undefined {
    if (extent === undefined) return undefined;
    return compactJson(this.#body, new JsonReader(this.#body, ...extent).value());
  }

  #optional(name: string, extent: readonly [number, number] | undefined): Buffer {
    const value = this.#compact(extent);
    if (value === undefined) return nothing;
    return Buffer.concat([Buffer.from(`,"${name}":`), value]);
  }
}

function find<Value>(
  members: ReadonlyMap<string, Value>,
  names: readonly string[],
): Value | undefined {
  const name = names.find((candidate) => members.has(candidate));
  return name === undefined ? undefined : members.get(name);
}

function invalid(detail: string): RequestError {
  return new RequestError(
    'invalid_json',
    `The body cannot be read as logs (${detail}): expected {"resourceLogs":[...]} as JSON; nothing was accepted.`,
  );
}
