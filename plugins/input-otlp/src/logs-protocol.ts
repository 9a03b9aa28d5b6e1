import {
  type DoorAnswer,
  type DoorProtocol,
  type DoorRequest,
  LineBatches,
  quote,
  RequestError,
  writeItems,
} from '@chukcha/http-door';
import { LogRecords } from './log-records.js';

/** The codes of gRPC, which OTLP uses over HTTP too, by status. */
const codeOfStatus: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  404: 5,
  405: 12,
  413: 8,
  415: 3,
  429: 8,
  500: 13,
  503: 14,
  504: 4,
};

/** `POST /v1/logs` with JSON. Each log record becomes a line; what is too long is answered as partial success. */
export const logsProtocol: DoorProtocol = {
  name: 'otlp',
  answer: async (request) => await answer(request),
  refuse: (error) => ({
    status: error.status,
    body: { code: codeOfStatus[error.status] ?? 2, message: error.message },
  }),
};

async function answer(request: DoorRequest): Promise<DoorAnswer> {
  checkHead(request);
  const body = await request.readBody();
  const lines = new LineBatches(request.limits, (byteCount) => request.reserve(byteCount));
  const records = new LogRecords(body, lines);
  records.addAll();
  await writeItems(request, lines.finish());
  if (records.tooLong.length === 0) return { status: 200, body: {} };
  const { messageBytesMax } = request.limits;
  return {
    status: 200,
    body: {
      partialSuccess: {
        rejectedLogRecords: `${records.tooLong.length}`,
        errorMessage: `Some log records have, with their resource and scope, more than ${messageBytesMax} bytes, the limit of a message, and were left out; counted from 0: ${records.describeTooLong()}.`,
      },
    },
  };
}

function checkHead(request: DoorRequest): void {
  if (request.path !== '/v1/logs') {
    const hint = /^\/v1\/(traces|metrics|profiles)$/.test(request.path)
      ? 'only logs are taken here; send traces and metrics elsewhere'
      : 'expected POST /v1/logs';
    throw new RequestError('not_found', `There is nothing at ${quote(request.path)}: ${hint}.`);
  }
  if (request.method !== 'POST') {
    throw new RequestError(
      'method_not_allowed',
      `${request.method} is not possible here: expected POST with logs in the body.`,
      { headers: { Allow: 'POST' } },
    );
  }
  const type = request.mediaType;
  if (type === 'application/json') return;
  const hint =
    type === 'application/x-protobuf'
      ? 'set the protocol of the exporter to http/json (OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/json), or the encoding to json in a collector (exporters: otlphttp: encoding: json)'
      : 'expected application/json';
  throw new RequestError(
    'unsupported_content_type',
    `The body has the Content-Type ${quote(type)}, which is not taken here: ${hint}; nothing was accepted.`,
  );
}
