import { isUtf8 } from 'node:buffer';
import {
  categoryOfIndex,
  compactJson,
  type DoorRequest,
  JsonReader,
  type LineBatches,
  RequestError,
} from '@chukcha/http-door';

/** What `addEvents` has to know of an event. */
interface EventParts {
  readonly line: Buffer;
  readonly index: string | undefined;
}

/**
 * Adds the events of a body, objects one after the other (in an array too, which some clients send), each as
 * one compact line with everything that the client said of it. One that is wrong refuses the whole body and is
 * named by its place.
 */
export function addEvents(
  body: Buffer,
  lines: LineBatches,
  request: DoorRequest,
  isCategoryFromIndex: boolean,
): void {
  if (!isUtf8(body)) throw invalid(0, 'it is not valid UTF-8');
  const reader = new JsonReader(body);
  let item = 0;
  const add = (): void => {
    const { line, index } = readEvent(reader, item);
    const category =
      isCategoryFromIndex && index !== undefined ? categoryOfIndex(index, true) : undefined;
    if (!lines.add(item, category, line)) {
      throw new RequestError(
        'message_too_large',
        `Event ${item}, counted from 0, has more than ${request.limits.messageBytesMax} bytes with its newline, the limit of a message: split it; nothing was accepted.`,
        { itemIndex: item },
      );
    }
    item += 1;
  };
  while (reader.skipSpace()) {
    if (reader.isAtArray())
      inPlace(
        () => reader.elements(add),
        () => item,
      );
    else add();
  }
  if (item === 0) throw new RequestError('batch_empty', 'No data: expected one event or more.');
}

function readEvent(reader: JsonReader, item: number): EventParts {
  return inPlace(
    () => {
      const start = reader.at;
      let index: string | undefined;
      let event: Buffer | undefined;
      if (!reader.isAtObject()) reader.fail('an object');
      const extent = reader.value();
      const inner = new JsonReader(reader.bytes, Math.max(start, extent.start), extent.end);
      inner.members((name) => {
        const value = inner.value();
        if (name === 'event') event = reader.bytes.subarray(value.start, value.end);
        if (name === 'index') index = textOf(reader.bytes.subarray(value.start, value.end));
      });
      if (event === undefined) throw invalid(item, 'it has no member "event"');
      if (event.equals(emptyText)) throw invalid(item, 'its member "event" is blank');
      return { line: compactJson(reader.bytes, extent), index };
    },
    () => item,
  );
}

const emptyText = Buffer.from('""');

function textOf(value: Buffer): string | undefined {
  const parsed: unknown = JSON.parse(value.toString());
  return typeof parsed === 'string' ? parsed : undefined;
}

/** Says of which event an error of the reader is. */
function inPlace<T>(read: () => T, itemOf: () => number): T {
  try {
    return read();
  } catch (error) {
    const isUnplaced =
      error instanceof RequestError &&
      error.code === 'invalid_json' &&
      error.itemIndex === undefined;
    throw isUnplaced ? invalid(itemOf(), error.message) : error;
  }
}

function invalid(item: number, detail: string): RequestError {
  return new RequestError(
    'invalid_json',
    `Event ${item}, counted from 0, cannot be taken (${detail}): expected an object as {"event":...}; nothing was accepted.`,
    { itemIndex: item },
  );
}
