import type { ReadStream, WriteStream } from 'node:tty';

const enterScreen = '\u001b[?1049h\u001b[?25l';
const leaveScreen = '\u001b[?25h\u001b[?1049l';
const home = '\u001b[H';
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';

/** Ctrl-C and Ctrl-D come as characters while the terminal is raw. */
const quitKeys = ['q', 'Q', '\u0003', '\u0004'];

/** Control characters in a name or an error would move the cursor; they are shown as a mark. */
const controlCharacters = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * The second screen of a terminal, which is drawn over in place, so that nothing that was there before is lost. `q`, Ctrl-C
 * and signals end it. However the process ends, the terminal is given back as it was.
 */
export class TopScreen {
  readonly #output: WriteStream;
  readonly #input: ReadStream;
  readonly #onQuit: () => void;
  #lines: readonly string[] = [];
  #isOpen = false;

  constructor(output: WriteStream, input: ReadStream, onQuit: () => void) {
    this.#output = output;
    this.#input = input;
    this.#onQuit = onQuit;
  }

  open(): void {
    this.#isOpen = true;
    this.#output.write(enterScreen);
    this.#output.on('resize', this.#draw);
    if (this.#input.isTTY) {
      this.#input.setRawMode(true);
      this.#input.on('data', this.#onKeys);
      this.#input.resume();
    }
    // Also when something throws where nobody catches it.
    process.once('exit', this.#leave);
  }

  show(lines: readonly string[]): void {
    this.#lines = lines;
    this.#draw();
  }

  /** Idempotent. */
  close(): void {
    process.off('exit', this.#leave);
    this.#leave();
  }

  readonly #leave = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#output.off('resize', this.#draw);
    this.#input.off('data', this.#onKeys);
    if (this.#input.isTTY) {
      this.#input.setRawMode(false);
      this.#input.pause();
    }
    this.#output.write(leaveScreen);
  };

  readonly #draw = (): void => {
    if (!this.#isOpen) return;
    const { columns, rows } = this.#output;
    this.#output.write(drawFrame(this.#lines, columns, rows));
  };

  readonly #onKeys = (keys: Buffer): void => {
    if (quitKeys.some((key) => keys.includes(key))) this.#onQuit();
  };
}

/** The bytes that draw lines over what is there, cut to the size of the terminal; a last line says that some are left out. */
export function drawFrame(lines: readonly string[], columns: number, rows: number): string {
  const isCut = lines.length > rows;
  const kept = isCut ? lines.slice(0, Math.max(0, rows - 1)) : lines;
  const shown = isCut ? [...kept, `... ${lines.length - kept.length} more lines`] : kept;
  const drawn = shown.map((line) => {
    return `${line.replace(controlCharacters, '?').slice(0, columns)}${clearLine}`;
  });
  // No newline after the last line: on the last row it would scroll.
  return `${home}${drawn.join('\r\n')}${clearBelow}`;
}
