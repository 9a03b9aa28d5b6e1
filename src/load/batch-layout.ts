/** What the first line of a batch says of it. */
export interface BatchHead {
  readonly writer: number;
  /** From 0, rising by one with each batch of the writer. */
  readonly sequence: number;
  /** When the batch was due, in whole microseconds of the clock of this process. */
  readonly dueMicroseconds: number;
}

export interface BatchLayoutOptions {
  /** Eight characters that tell the batches of one load from all others. */
  readonly tag: string;
  readonly lineBytes: number;
  readonly lineCount: number;
}

/** The shortest line that a head fits into. */
export const lineBytesMin = 64;

/** What a head may count up to; a thousand writers are more than a machine can feed. */
const writerDigits = 3;
const sequenceDigits = 12;
const dueDigits = 15;

/** Bytes that stand behind the numbers, so that a line looks somewhat like one of a log. */
const filler = ' GET /books/1812 200 0.004 "curl/8.5.0" ';

const newline = 0x0a;

/**
 * The bytes of the batches of a load: lines of one length, of which the first says which batch it is, and the others
 * which line they are. Only the first line differs between two batches, so that writing one costs next to nothing and
 * every byte of it can be compared when it was read.
 */
export class BatchLayout {
  readonly byteCount: number;
  readonly lineBytes: number;
  readonly lineCount: number;
  /** A batch with an empty head. */
  readonly template: Buffer;
  readonly #tag: string;
  readonly #headPattern: RegExp;
  /** Of the numbers and what stands before them. */
  readonly #headBytes: number;

  constructor({ tag, lineBytes, lineCount }: BatchLayoutOptions) {
    this.lineBytes = lineBytes;
    this.lineCount = lineCount;
    this.byteCount = lineBytes * lineCount;
    this.#tag = tag;
    this.#headPattern = new RegExp(
      `^${tag} w(\\d{${writerDigits}}) s(\\d{${sequenceDigits}}) t(\\d{${dueDigits}})$`,
    );
    this.template = Buffer.alloc(this.byteCount, filler, 'latin1');
    for (let line = 0; line < lineCount; line += 1) {
      const start = line * lineBytes;
      this.template.write(`${tag} line ${line} `, start, 'latin1');
      this.template[start + lineBytes - 1] = newline;
    }
    this.#headBytes = this.#headText({ writer: 0, sequence: 0, dueMicroseconds: 0 }).length;
  }

  /** Writes the head into a copy of the template. */
  stamp(batch: Buffer, head: BatchHead): void {
    batch.write(this.#headText(head), 0, 'latin1');
  }

  /** Reads the head of the batch that begins at an offset; `undefined` when none does. */
  parseHead(bytes: Buffer, offset: number): BatchHead | undefined {
    const text = bytes.toString('latin1', offset, offset + this.#headBytes);
    const [, writer, sequence, due] = this.#headPattern.exec(text) ?? [];
    if (writer === undefined || !this.matches(bytes, offset + this.#headBytes, this.#headBytes)) {
      return undefined;
    }
    return {
      writer: Number(writer),
      sequence: Number(sequence),
      dueMicroseconds: Number(due),
    };
  }

  /**
   * Whether the bytes from an offset on are those of a batch from a place in it on, up to the end of the bytes or the
   * batch, or of the head's line when the place is in it.
   */
  matches(bytes: Buffer, offset: number, place: number): boolean {
    const placeMax = place < this.lineBytes ? this.lineBytes : this.byteCount;
    const end = Math.min(bytes.length, offset + placeMax - place);
    return bytes.compare(this.template, place, place + end - offset, offset, end) === 0;
  }

  #headText({ writer, sequence, dueMicroseconds }: BatchHead): string {
    const digits = (value: number, count: number): string => String(value).padStart(count, '0');
    return `${this.#tag} w${digits(writer, writerDigits)} s${digits(sequence, sequenceDigits)} t${digits(dueMicroseconds, dueDigits)}`;
  }
}
