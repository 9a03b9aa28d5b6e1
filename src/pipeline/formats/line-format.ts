/** How lines become messages: as they are, as objects with a few fields more, or wrapped. */
export type LineFormatName = 'raw' | 'json' | 'envelope';

/** What a format needs to know of the bytes that it is given. */
export interface LineContext {
  /** Where the lines come from, for people: a path, an address. */
  readonly source: string;
  readonly host: string;
  /**
   * What the id of every message starts with. It must stay the same over restarts and re-sends, and no two
   * sources may share it.
   */
  readonly sourceId: string;
  /** The place in the source, in bytes, of the first line that is formatted: of `bytes[start]`. */
  readonly offset: number;
  /** Milliseconds since 1970; must be the same when the same bytes are formatted again. */
  readonly timeMs: number;
}

export interface FormatLimits {
  /**
   * The most bytes of messages that one call may give, unless the first message alone has more; also the most
   * bytes of whole lines that it looks at.
   */
  readonly outBytesMax: number;
  /** The largest message, with its newline, in bytes. What would be larger is cut. */
  readonly messageBytesMax: number;
}

export interface FormattedLines {
  /** Whole messages; valid until the next call of the same format, and as long as the input stays as it is. */
  readonly bytes: Uint8Array;
  /** How many bytes of the input they were made of: whole lines, at least one. */
  readonly consumed: number;
  /** Lines that were cut because their message would have been longer than `messageBytesMax`. */
  readonly cutCount: number;
  /** Lines that were not what the format asks for and were wrapped. */
  readonly wrappedCount: number;
}

/** Makes messages of lines, without parsing them. `docs/line-formats.md` shows what each format makes. */
export interface LineFormat {
  readonly name: LineFormatName;
  /**
   * Formats the lines from `start` on, as many as fit. The bytes must end with a newline. The same bytes,
   * context and `messageBytesMax` give the same messages, whatever `outBytesMax` and however the lines are
   * divided into calls, so a repeated send can be recognised.
   *
   * @throws {RangeError} when the bytes, the context or a limit cannot be used; nothing was formatted
   */
  apply(
    bytes: Uint8Array,
    start: number,
    context: LineContext,
    limits: FormatLimits,
  ): FormattedLines;
}
