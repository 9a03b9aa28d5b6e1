import type { SyslogFigures } from './syslog-figures.js';
import { toJsonLine, toRawLine } from './syslog-line.js';

/** Makes the lines of messages, in the form that was asked for, and counts what it changes. */
export class LineMaker {
  readonly #form: 'json' | 'raw';
  readonly #frameBytesMax: number;
  readonly #figures: SyslogFigures;

  constructor(form: 'json' | 'raw', frameBytesMax: number, figures: SyslogFigures) {
    this.#form = form;
    this.#frameBytesMax = frameBytesMax;
    this.#figures = figures;
  }

  /**
   * The line of a message that came from this address, without its newline; `undefined` for an empty one, which
   * has nothing to make an object of.
   */
  make(frame: Buffer, peer: string, isCut: boolean): Buffer | undefined {
    if (this.#form === 'json' && frame.length === 0) {
      this.#figures.empty();
      return undefined;
    }
    this.#figures.received();
    if (this.#form === 'json') {
      if (isCut) this.#figures.cut();
      return toJsonLine(frame, peer, isCut).bytes;
    }
    const line = toRawLine(frame, this.#frameBytesMax);
    if (isCut || line.isCut) this.#figures.cut();
    if (line.isJoined) this.#figures.joined();
    return line.bytes;
  }
}
