/** What can be wrong with a request: the one table from code to status. */
const statuses = {
  batch_empty: 400,
  body_corrupt: 400,
  invalid_idempotency_key: 400,
  invalid_json: 400,
  invalid_lines: 400,
  invalid_name: 400,
  invalid_request: 400,
  credentials_missing: 401,
  credentials_wrong: 401,
  not_found: 404,
  method_not_allowed: 405,
  idempotency_key_reused: 409,
  batch_too_large: 413,
  message_too_large: 413,
  unsupported_encoding: 415,
  unsupported_content_type: 415,
  too_many_bytes_in_flight: 429,
  internal: 500,
  not_accepted: 503,
  partly_accepted: 503,
  bus_away: 503,
  stopping: 503,
  outcome_unknown: 504,
} as const;

export type RequestErrorCode = keyof typeof statuses;

/** When a client may try again after a refusal that passes by itself, in seconds. */
const retryAfterSeconds = 1;

/** What is wrong with one line or item of a request. */
export interface LineProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly reason: string;
}

/** How many problems an answer lists; the number of all is beside them. */
const problemCountMax = 100;

interface RequestErrorDetails {
  readonly headers?: Readonly<Record<string, string>>;
  readonly problems?: readonly LineProblem[];
  /** The place of the item that is meant, counted from 0, for protocols that name it so. */
  readonly itemIndex?: number;
}

/** A refused request. The code is stable and the message is for people; neither has internals of the bus. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;
  readonly itemIndex: number | undefined;
  readonly #details: RequestErrorDetails;

  constructor(code: RequestErrorCode, message: string, details: RequestErrorDetails = {}) {
    super(message);
    this.name = 'RequestError';
    this.code = code;
    this.itemIndex = details.itemIndex;
    this.#details = details;
  }

  get status(): number {
    return statuses[this.code];
  }

  get headers(): Readonly<Record<string, string>> {
    const { headers = {} } = this.#details;
    const mayPass = [429, 503, 504].includes(this.status);
    return mayPass ? { ...headers, 'Retry-After': `${retryAfterSeconds}` } : headers;
  }

  /** The form in which the error travels. */
  toBody(): { readonly error: Readonly<Record<string, unknown>> } {
    const { problems } = this.#details;
    const listed =
      problems === undefined
        ? {}
        : { lines: problems.slice(0, problemCountMax), lines_refused: problems.length };
    return { error: { code: this.code, message: this.message, ...listed } };
  }
}

/** A value of a request in an error text: in quotes, and cut when it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
