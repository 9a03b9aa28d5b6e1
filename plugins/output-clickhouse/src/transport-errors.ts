/** Something answered with a status that is no success, and it was not ClickHouse that spoke. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text.replace(/\s+/g, ' ').trim().slice(0, 200));
    this.name = 'HttpError';
    this.status = status;
  }
}

/** There was no whole answer: whether the statement was carried out is unknown. */
export class ConnectionError extends Error {
  /** The code of the system, of Node or of OpenSSL. */
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'ConnectionError';
    this.code = code;
  }
}

export function toConnectionError(error: unknown): ConnectionError {
  if (error instanceof ConnectionError) return error;
  // A name with several addresses fails with one error for each of them.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const { code, message } = first as NodeJS.ErrnoException;
  return new ConnectionError(code ?? 'UNKNOWN', message, { cause: error });
}
