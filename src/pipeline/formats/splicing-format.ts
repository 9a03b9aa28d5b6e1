import { checkLines, wholeLinesEnd } from './input-lines.js';
import type { FormatLimits, FormattedLines, LineContext, LineFormat } from './line-format.js';
import { lineHead } from './line-head.js';
import { kernelMessageBytesMin, type LineKernel } from './line-kernel.js';

/** The formats `json` and `envelope`: fields of the context and each line, put together by a kernel. */
export class SplicingFormat implements LineFormat {
  readonly name: 'json' | 'envelope';
  readonly #kernel: LineKernel;

  constructor(name: 'json' | 'envelope', kernel: LineKernel) {
    this.name = name;
    this.#kernel = kernel;
  }

  apply(
    bytes: Uint8Array,
    start: number,
    context: LineContext,
    limits: FormatLimits,
  ): FormattedLines {
    checkLines(bytes, start, limits);
    const { outBytesMax, messageBytesMax } = limits;
    const head = lineHead(this.name, context);
    const messageBytesMin = kernelMessageBytesMin(head);
    if (messageBytesMax < messageBytesMin) {
      throw new RangeError(
        `Messages of ${messageBytesMax} bytes are too small for the format ${this.name}: the fields for host and source of ${context.source} need ${messageBytesMin}. Give a larger limit or shorter names.`,
      );
    }
    return this.#kernel.format({
      kind: this.name,
      lines: bytes.subarray(start, wholeLinesEnd(bytes, start, outBytesMax)),
      offset: context.offset,
      head,
      outBytesMax,
      messageBytesMax,
    });
  }
}
