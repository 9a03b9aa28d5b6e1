/** What a format needs to know of the bytes. */
export interface LineContext {
  readonly source: string;
  readonly host: string;
  readonly sourceId: string;
  /** Of the first message in its source, in bytes. */
  readonly offset: number;
  /** Milliseconds since 1970, the same when the bytes are formatted again. */
  readonly timeMs: number;
}

export interface FormattedLines {
  /** Whole messages; valid until the next call of the same format. */
  readonly bytes: Uint8Array;
  /** How many bytes of the input they were made of; above 0. */
  readonly consumed: number;
  readonly cutCount: number;
  /** Lines that were not what the format asks for and were wrapped. */
  readonly wrappedCount: number;
}

export type LineFormatName = 'raw' | 'json' | 'envelope';

export interface LineFormat {
  readonly name: LineFormatName;
  /**
   * Formats whole messages from `start` on, as many as fit into `outBytesMax`. The same input, context and limits
   * give the same bytes.
   */
  apply(
    bytes: Uint8Array,
    start: number,
    context: LineContext,
    limits: { readonly outBytesMax: number; readonly messageBytesMax: number },
  ): FormattedLines;
}
