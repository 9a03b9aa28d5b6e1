import { isUtf8 } from 'node:buffer';
import {
  compactJson,
  type DoorRequest,
  JsonReader,
  LineBatches,
  type LineProblem,
  RequestError,
} from '@chukcha/http-door';
import { countNewlines, findLongMessage } from '@chukcha/plugin-api';

const NEWLINE = 0x0a;

/** How many bad lines are looked for: a body with more is not what it says it is, and each costs time. */
const problemCountMax = 1000;

/** The lines of a request that can be taken, and what is wrong with the others. */
export interface CheckedLines {
  readonly bytes: Uint8Array;
  readonly lineCount: number;
  /** Lines of nothing but white space, which NDJSON allows and no message is made of. */
  readonly blankLineCount: number;
  readonly problems: readonly (LineProblem & { readonly isTooLong: boolean })[];
}

/** Text: every line is taken as it is. */
export function checkText(body: Buffer, request: DoorRequest): CheckedLines {
  if (findLongMessage(body, request.limits.messageBytesMax) === undefined) {
    return { bytes: body, lineCount: countNewlines(body), blankLineCount: 0, problems: [] };
  }
  const lines = new LineSieve(request);
  eachLine(body, (line) => lines.take(line));
  return lines.finish();
}

/** NDJSON: every line that is not blank is one JSON value, and is taken as it is. */
export function checkNdjson(body: Buffer, request: DoorRequest): CheckedLines {
  checkUtf8(body);
  if (isCleanNdjson(body, request.limits.messageBytesMax)) {
    return { bytes: body, lineCount: countNewlines(body), blankLineCount: 0, problems: [] };
  }
  const lines = new LineSieve(request);
  eachLine(body, (line) => {
    const reader = new JsonReader(line);
    if (reader.skipSpace()) lines.take(line, problemOf(reader));
    else lines.skipBlank();
  });
  return lines.finish();
}

/** An array of JSON values, each of which becomes a line; any other value is one line. */
export function checkJson(body: Buffer, request: DoorRequest): CheckedLines {
  checkUtf8(body);
  const lines = new LineSieve(request);
  const reader = new JsonReader(body);
  const takeValue = (): void => lines.take(compactJson(body, reader.value()));
  try {
    if (reader.isAtArray()) reader.elements(takeValue);
    else takeValue();
    reader.expectEnd();
  } catch (error) {
    if (!(error instanceof RequestError) || error.code !== 'invalid_json') throw error;
    throw new RequestError(
      'invalid_json',
      `The body is not valid JSON: ${error.message}; nothing was accepted.`,
    );
  }
  return lines.finish();
}

function isCleanNdjson(body: Buffer, messageBytesMax: number): boolean {
  if (findLongMessage(body, messageBytesMax) !== undefined) return false;
  let isClean = true;
  eachLine(body, (line) => {
    isClean &&= problemOf(new JsonReader(line)) === undefined;
  });
  return isClean;
}

function problemOf(reader: JsonReader): string | undefined {
  try {
    reader.value();
    reader.expectEnd();
    return undefined;
  } catch (error) {
    return `it is not valid JSON: ${(error as Error).message}`;
  }
}

function eachLine(body: Buffer, visit: (line: Buffer) => void): void {
  for (let start = 0; start < body.length; ) {
    const end = body.indexOf(NEWLINE, start);
    visit(body.subarray(start, end));
    start = end + 1;
  }
}

function checkUtf8(body: Buffer): void {
  if (isUtf8(body)) return;
  throw new RequestError(
    'invalid_json',
    'The body is not valid UTF-8, as JSON has to be: convert it, or send it as text/plain, which is taken as it is; nothing was accepted.',
  );
}

/** Collects good lines and problems, counted from 1. */
class LineSieve {
  readonly #request: DoorRequest;
  readonly #lines: LineBatches;
  readonly #problems: (LineProblem & { readonly isTooLong: boolean })[] = [];
  #lineNumber = 0;
  #lineCount = 0;
  #blankLineCount = 0;

  constructor(request: DoorRequest) {
    this.#request = request;
    this.#lines = new LineBatches(request.limits, (byteCount) => request.reserve(byteCount));
  }

  take(line: Buffer, reason?: string): void {
    this.#lineNumber += 1;
    if (reason !== undefined) {
      this.#addProblem(reason, false);
    } else if (this.#lines.add(this.#lineNumber, undefined, line)) {
      this.#lineCount += 1;
    } else {
      const { messageBytesMax } = this.#request.limits;
      const tooLong = `it has ${line.length + 1} bytes with its newline, more than the ${messageBytesMax} of a message`;
      this.#addProblem(tooLong, true);
    }
  }

  skipBlank(): void {
    this.#lineNumber += 1;
    this.#blankLineCount += 1;
  }

  #addProblem(reason: string, isTooLong: boolean): void {
    this.#problems.push({ line: this.#lineNumber, reason, isTooLong });
    if (this.#problems.length < problemCountMax) return;
    throw new RequestError(
      'invalid_lines',
      `${problemCountMax} lines up to line ${this.#lineNumber} cannot be taken, and the rest was not looked at; the last one: ${reason}. Nothing was accepted; does the Content-Type say what the body is?`,
      {
        problems: this.#problems.map((problem) => ({ line: problem.line, reason: problem.reason })),
      },
    );
  }

  finish(): CheckedLines {
    const [batch, ...others] = this.#lines.finish();
    if (others.length > 0) {
      throw new RequestError(
        'batch_too_large',
        `The lines of the body have more than ${this.#request.limits.batchBytesMax} bytes, the limit of a batch: send them in smaller parts; nothing was accepted.`,
      );
    }
    if (batch === undefined && this.#problems.length === 0) {
      throw new RequestError('batch_empty', 'The body has no lines: expected one or more.');
    }
    return {
      bytes: batch?.bytes ?? new Uint8Array(0),
      lineCount: this.#lineCount,
      blankLineCount: this.#blankLineCount,
      problems: this.#problems,
    };
  }
}
