import { type ErrorCode, errorCodes, isErrorCode } from './error-codes.js';

export type ErrorFields = Readonly<Record<string, string | number | boolean>>;

/**
 * An operational failure, with a stable `code` of the table in `error-codes.ts`. Misuse of a function
 * is a TypeError or a RangeError instead.
 */
export class ChukchaError extends Error {
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly fields?: ErrorFields; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ChukchaError';
    this.code = code;
    this.fields = options.fields ?? {};
  }

  /** The HTTP status of the code; 0 for what is never sent. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** Tells whether the same call may succeed later. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }

  /** The form in which an error travels: `{"error":{"code","message",...fields}}`. */
  toBody(): { readonly error: Record<string, unknown> } {
    return { error: { code: this.code, message: this.message, ...this.fields } };
  }
}

/** The code of an error, whichever copy of the class made it; `undefined` for other errors. */
export function errorCode(error: unknown): ErrorCode | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return isErrorCode(code) ? code : undefined;
}

/** The text of whatever was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reads the form in which an error travels; `undefined` when the text is not one. */
export function errorFromBody(text: string): ChukchaError | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: Record<string, unknown> };
    const { code, message, ...fields } = error ?? {};
    if (!isErrorCode(code) || typeof message !== 'string') return undefined;
    return new ChukchaError(code, message, { fields: fields as ErrorFields });
  } catch {
    // What is not JSON did not come from a node; the caller says so.
    return undefined;
  }
}
