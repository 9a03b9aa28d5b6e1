/** What can be wrong with a request: the one table from code to status. */
const statuses = {
  batch_empty: 400,
  invalid_name: 400,
  not_found: 404,
  method_not_allowed: 405,
  batch_too_large: 413,
  message_too_large: 413,
  unsupported_encoding: 415,
  unsupported_content_type: 415,
  too_many_bytes_in_flight: 429,
  internal: 500,
  not_accepted: 503,
  stopping: 503,
} as const;

export type RequestErrorCode = keyof typeof statuses;

/** When a client may try again after a refusal that passes by itself, in seconds. */
const retryAfterSeconds = 1;

/** A refused request. The code is stable and the message is for people; neither has internals of the bus. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(
    code: RequestErrorCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'RequestError';
    this.code = code;
    this.#headers = headers;
  }

  get status(): number {
    return statuses[this.code];
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.status !== 429 && this.status !== 503) return this.#headers;
    return { ...this.#headers, 'Retry-After': `${retryAfterSeconds}` };
  }

  /** The form in which the error travels. */
  toBody(): { readonly error: { readonly code: string; readonly message: string } } {
    return { error: { code: this.code, message: this.message } };
  }
}
