import type { Logger } from '../../common/logger.js';
import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { streamProtocol } from '../../protocol/frames.js';
import { headers } from '../../protocol/http-api.js';
import { hasSystemCode } from '../../storage/disk.js';

/** What is the node's fault and not the client's; refusals are the client's to report. */
const loggedCodes: ReadonlySet<ErrorCode> = new Set(['internal', 'storage_failed', 'disk_full']);

/** The statuses of refusals that pass by themselves, and when a client may try again. */
const passingStatuses: ReadonlySet<number> = new Set([429, 503, 507]);
const retryAfterSeconds = 1;

/** An error as HTTP says it, whichever way the request came in. */
export interface ErrorAnswer {
  readonly status: number;
  /** The JSON of the body, in ASCII, with a newline. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What is answered for an error; the state of a chunk that was not found is a header too. */
export function errorAnswer(error: ChukchaError): ErrorAnswer {
  const { state, allow } = error.fields;
  return {
    status: error.status,
    body: `${escapeNonAscii(JSON.stringify(bodyOf(error)))}\n`,
    headers: {
      ...(passingStatuses.has(error.status) && { 'Retry-After': `${retryAfterSeconds}` }),
      ...(typeof allow === 'string' && { Allow: allow }),
      ...(error.code === 'unauthorized' && {
        'WWW-Authenticate': 'Bearer realm="chukcha", Basic realm="chukcha", charset="UTF-8"',
      }),
      ...(error.code === 'upgrade_required' && { Upgrade: streamProtocol }),
      ...(typeof state === 'string' && { [headers.chunkState]: state }),
    },
  };
}

/** A batch that was stored after all is said to be so in front of everything else. */
function bodyOf(error: ChukchaError): object {
  const stored = error.code === 'not_replicated' ? error.fields : {};
  return { ...stored, ...error.toBody() };
}

/** The length of ASCII is its number of characters, and a socket takes it without a conversion. */
function escapeNonAscii(json: string): string {
  return json.replace(/[^\n -~]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** The error that a client is told for whatever was thrown. */
export function toChukchaError(thrown: unknown): ChukchaError {
  if (thrown instanceof ChukchaError) return thrown;
  if (hasSystemCode(thrown, 'EMFILE', 'ENFILE')) {
    return new ChukchaError(
      'storage_failed',
      `The node has no file descriptor left (${errorMessage(thrown)}): raise its limit (ulimit -n), or close connections; try again.`,
      { cause: thrown },
    );
  }
  return new ChukchaError(
    'internal',
    `The node failed to answer (${errorMessage(thrown)}): its log has the details; try again.`,
    { cause: thrown },
  );
}

/** What a client is told whose request did not come within its time. */
export function requestTimeoutError(): ChukchaError {
  return new ChukchaError(
    'request_timeout',
    'The request did not arrive in time: send it again, faster; nothing was stored.',
  );
}

/** What is told who asks a node that stands alone for what only a member of a cluster has. */
export function noMemberError(): ChukchaError {
  return new ChukchaError(
    'membership_refused',
    'This node stands alone and has no peers: start it with --etcd to make it a member of a cluster.',
  );
}

/** Logs an error when it is the node's fault; one that ends when there is room again, as a warning. */
export function logFailure(log: Logger, path: string, error: ChukchaError): void {
  if (!loggedCodes.has(error.code)) return;
  const level = error.code === 'disk_full' ? 'warn' : 'error';
  log[level]('A request failed.', {
    path,
    code: error.code,
    error: error.message,
    cause: error.cause === undefined ? undefined : errorMessage(error.cause),
  });
}
