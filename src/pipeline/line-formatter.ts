import type { InputBatch } from '@chukcha/plugin-api';
import type { LineFormat, LineFormatName } from './formats/line-format.js';

export interface LineFormatterOptions {
  /** The formats that may be asked for; `raw` needs none. */
  readonly formats: ReadonlyMap<LineFormatName, LineFormat>;
  readonly host: string;
  /** What stands for the source of batches that name none. */
  readonly sourceDefault: string;
  /** What stands in ids for the source of batches that name none: another one in each run. */
  readonly sourceIdDefault: string;
  readonly messageBytesMax: number;
}

/** Messages in the form in which they are written. */
export interface FormattedPart {
  readonly pieces: readonly Uint8Array[];
  readonly byteCount: number;
  /** Where in the batch the next part begins. */
  readonly end: number;
}

/** Brings what an input gives into the form in which the bus gets it. */
export class LineFormatter {
  /** Messages that were cut because they were too long in their new form. */
  cutCount = 0;
  /** Messages that were not what the format asks for, and were wrapped. */
  wrappedCount = 0;
  readonly #options: LineFormatterOptions;
  /** How far the batches that name no source have come. */
  #offsetDefault = 0;
  /** Where batches stand that name no source. */
  readonly #offsets = new WeakMap<InputBatch, number>();

  constructor(options: LineFormatterOptions) {
    this.#options = options;
  }

  /** To be called once for each batch, in the order in which they came. */
  register(batch: InputBatch): void {
    if (batch.origin !== undefined) return;
    this.#offsets.set(batch, this.#offsetDefault);
    this.#offsetDefault += batch.bytes.length;
  }

  /**
   * Formats messages of a batch from `start` on, as many as fit into `outBytesMax` and stand before `stop`;
   * `undefined` when not one does.
   */
  format(
    name: LineFormatName,
    batch: InputBatch,
    place: { readonly start: number; readonly stop: number },
    limits: { readonly outBytesMax: number; readonly timeMs: number },
  ): FormattedPart | undefined {
    const { start, stop } = place;
    if (name === 'raw') {
      if (stop - start > limits.outBytesMax) return undefined;
      return { pieces: [batch.bytes.subarray(start, stop)], byteCount: stop - start, end: stop };
    }
    return this.#apply(this.#formatOf(name), batch, place, limits);
  }

  #apply(
    format: LineFormat,
    batch: InputBatch,
    { start, stop }: { readonly start: number; readonly stop: number },
    { outBytesMax, timeMs }: { readonly outBytesMax: number; readonly timeMs: number },
  ): FormattedPart | undefined {
    const { host, sourceDefault, sourceIdDefault, messageBytesMax } = this.#options;
    const { origin } = batch;
    const source = origin?.source ?? sourceDefault;
    const sourceId = origin?.id ?? sourceIdDefault;
    const offset = (origin?.offset ?? this.#offsets.get(batch) ?? 0) + start;
    const bytes = batch.bytes.subarray(0, stop);
    const context = { source, host, sourceId, offset, timeMs };
    // A message that would not fit at all would never be sent.
    if (outBytesMax < messageBytesMax) return undefined;
    const { bytes: made, ...counts } = format.apply(bytes, start, context, {
      outBytesMax,
      messageBytesMax,
    });
    this.cutCount += counts.cutCount;
    this.wrappedCount += counts.wrappedCount;
    // A copy, because the format uses its buffer again.
    return { pieces: [Buffer.from(made)], byteCount: made.length, end: start + counts.consumed };
  }

  #formatOf(name: LineFormatName): LineFormat {
    const format = this.#options.formats.get(name);
    if (format === undefined) throw new TypeError(`The format ${name} was not loaded.`);
    return format;
  }
}
