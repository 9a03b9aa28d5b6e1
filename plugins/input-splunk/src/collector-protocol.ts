import {
  categoryOfIndex,
  type DoorAnswer,
  type DoorProtocol,
  type DoorRequest,
  LineBatches,
  quote,
  RequestError,
  type RequestErrorCode,
  writeItems,
} from '@chukcha/http-door';
import { addEvents } from './collector-events.js';

const NEWLINE = 0x0a;

/** The numbers by which clients of the collector know errors. */
const numberOfCode: Partial<Record<RequestErrorCode, number>> = {
  credentials_missing: 2,
  credentials_wrong: 4,
  batch_empty: 5,
  invalid_json: 6,
  body_corrupt: 6,
  internal: 8,
  batch_too_large: 27,
  message_too_large: 27,
};

/** Of an error that passes by itself. */
const busyNumber = 9;

/** Of every other error of the client. */
const invalidNumber = 6;

/** The collector, at its usual paths. Acknowledgement by channel is refused: 200 is the acknowledgement here. */
export function createCollectorProtocol(isCategoryFromIndex: boolean): DoorProtocol {
  return {
    name: 'splunk',
    answer: async (request) => await answer(request, isCategoryFromIndex),
    refuse: (error) => {
      const isBusy = error.status === 429 || error.status >= 503;
      const code = isBusy ? busyNumber : (numberOfCode[error.code] ?? invalidNumber);
      const place =
        error.itemIndex === undefined ? {} : { 'invalid-event-number': error.itemIndex };
      return { status: error.status, body: { text: error.message, code, ...place } };
    },
  };
}

async function answer(request: DoorRequest, isCategoryFromIndex: boolean): Promise<DoorAnswer> {
  const path = request.path.replace(/\/1\.0$/, '');
  if (path === '/services/collector/health') {
    return { status: 200, body: { text: 'HEC is healthy', code: 17 } };
  }
  if (path === '/services/collector/ack') return acknowledgementIsOff;
  const isEvent = path === '/services/collector' || path === '/services/collector/event';
  if (!isEvent && path !== '/services/collector/raw') {
    throw new RequestError(
      'not_found',
      `There is nothing at ${quote(request.path)}: expected POST /services/collector/event or /services/collector/raw, or GET /services/collector/health.`,
    );
  }
  if (request.method !== 'POST') {
    throw new RequestError(
      'method_not_allowed',
      `${request.method} is not possible here: expected POST with events in the body.`,
      { headers: { Allow: 'POST' } },
    );
  }
  const body = await request.readBody();
  const lines = new LineBatches(request.limits, (byteCount) => request.reserve(byteCount));
  if (isEvent) addEvents(body, lines, request, isCategoryFromIndex);
  else addRawLines(body, lines, request, isCategoryFromIndex);
  await writeItems(request, lines.finish());
  return { status: 200, body: { text: 'Success', code: 0 } };
}

const acknowledgementIsOff: DoorAnswer = {
  status: 400,
  body: {
    text: 'ACK is disabled: an answer of 200 is given only when the events are in the bus, so there is nothing left to ask for; turn off indexer acknowledgement in the client.',
    code: 14,
  },
};

/** Each line is an event as it is. What the parameters say of its source is not in the lines, and not kept. */
function addRawLines(
  body: Buffer,
  lines: LineBatches,
  request: DoorRequest,
  isCategoryFromIndex: boolean,
): void {
  const index = request.parameter('index');
  const category =
    isCategoryFromIndex && index !== undefined ? categoryOfIndex(index, true) : undefined;
  let item = 0;
  for (let start = 0; start < body.length; item += 1) {
    const end = body.indexOf(NEWLINE, start);
    if (!lines.add(item, category, body.subarray(start, end))) throw tooLong(item, request);
    start = end + 1;
  }
}

function tooLong(item: number, { limits }: DoorRequest): RequestError {
  return new RequestError(
    'message_too_large',
    `Line ${item + 1} of the body is longer than ${limits.messageBytesMax} bytes with its newline, the limit of a message: split it; nothing was accepted.`,
    { itemIndex: item },
  );
}
