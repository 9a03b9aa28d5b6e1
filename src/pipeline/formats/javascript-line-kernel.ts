import { NEWLINE } from './input-lines.js';
import type { FormattedLines } from './line-format.js';
import { cutEndBytesMax, type KernelTask, type LineKernel, messageKey } from './line-kernel.js';

/** A message, or what stands in for it, and what had to be done to the line. */
interface Message {
  readonly bytes: Uint8Array;
  readonly cut: boolean;
  readonly wrapped: boolean;
}

const REPLACEMENT = '\ufffd';
const replacementBytes = Buffer.from(REPLACEMENT);

/**
 * The kernel in plain JavaScript, by means of the standard library: for processes without WebAssembly, and what
 * the tests hold the fast one against. It shares no code with it.
 */
export class JavascriptLineKernel implements LineKernel {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  format(task: KernelTask): FormattedLines {
    const messages: Uint8Array[] = [];
    let place = 0;
    let outBytes = 0;
    let cutCount = 0;
    let wrappedCount = 0;
    while (place < task.lines.length) {
      const lineEnd = task.lines.indexOf(NEWLINE, place);
      const line = task.lines.subarray(place, lineEnd);
      const message = this.#formatLine(line, task.offset + place, task);
      if (outBytes + message.bytes.length > task.outBytesMax && messages.length > 0) break;
      messages.push(message.bytes);
      outBytes += message.bytes.length;
      cutCount += Number(message.cut);
      wrappedCount += Number(message.wrapped);
      place = lineEnd + 1;
    }
    return { bytes: Buffer.concat(messages), consumed: place, cutCount, wrappedCount };
  }

  #formatLine(line: Uint8Array, offset: number, task: KernelTask): Message {
    const { beforeOffset, afterOffset } = task.head;
    const head = Buffer.concat([beforeOffset, Buffer.from(String(offset)), afterOffset]);
    if (task.kind === 'envelope') return this.#wrap(line, head, task.messageBytesMax, false);
    const object = trimmedObject(line);
    if (object === undefined) return this.#wrap(line, head, task.messageBytesMax, true);
    const comma = object.length === 0 ? '' : ',';
    const bytes = Buffer.concat([head, Buffer.from(comma), object, Buffer.from('}\n')]);
    if (bytes.length > task.messageBytesMax) {
      return this.#wrap(line, head, task.messageBytesMax, false);
    }
    return { bytes, cut: false, wrapped: false };
  }

  #wrap(line: Uint8Array, head: Uint8Array, messageBytesMax: number, wrapped: boolean): Message {
    const start = Buffer.concat([head, messageKey]);
    const wrappedField = wrapped ? ',"wrapped":true' : '';
    const text = JSON.stringify(this.#decoder.decode(line)).slice(1, -1);
    const replaced = replacedField(countOf(text, REPLACEMENT) - countOriginals(line));
    const whole = Buffer.concat([start, Buffer.from(`${text}"${wrappedField}${replaced}}\n`)]);
    if (whole.length <= messageBytesMax) return { bytes: whole, cut: false, wrapped };
    const end = this.#cutText(line, messageBytesMax - cutEndBytesMax - start.length);
    const cutFields = `"${wrappedField},"cut":${line.length}${replacedField(end.replacedCount)}}\n`;
    return { bytes: Buffer.concat([start, Buffer.from(end.text + cutFields)]), cut: true, wrapped };
  }

  /** As many whole characters, escaped, as fit. */
  #cutText(line: Uint8Array, textBytesMax: number): { text: string; replacedCount: number } {
    let text = '';
    let textBytes = 0;
    let replacedCount = 0;
    for (const { character, replaced } of this.#charactersOf(line)) {
      const escaped = JSON.stringify(character).slice(1, -1);
      textBytes += Buffer.byteLength(escaped);
      if (textBytes > textBytesMax) break;
      text += escaped;
      replacedCount += Number(replaced);
    }
    return { text, replacedCount };
  }

  /** U+FFFD may also be in the line itself. A whole character ends whatever was before it, so the line may be split there. */
  *#charactersOf(line: Uint8Array): Generator<{ character: string; replaced: boolean }> {
    const buffer = asBuffer(line);
    for (let start = 0; start <= buffer.length; ) {
      const original = buffer.indexOf(replacementBytes, start);
      const end = original === -1 ? buffer.length : original;
      for (const character of this.#decoder.decode(buffer.subarray(start, end))) {
        yield { character, replaced: character === REPLACEMENT };
      }
      if (original === -1) return;
      yield { character: REPLACEMENT, replaced: false };
      start = original + replacementBytes.length;
    }
  }
}

/** What is between the braces of the object; empty when only white space is; `undefined` when it is no object. */
function trimmedObject(line: Uint8Array): Uint8Array | undefined {
  // As Latin-1 every byte is one character, and JSON's white space is what is searched for.
  const object = /^[ \t\r]*\{([\s\S]*)\}[ \t\r]*$/.exec(asBuffer(line).toString('latin1'))?.[1];
  if (object === undefined) return undefined;
  return Buffer.from(/^[ \t\r]*$/.test(object) ? '' : object, 'latin1');
}

function replacedField(count: number): string {
  return count === 0 ? '' : `,"replaced":${count}`;
}

function countOriginals(line: Uint8Array): number {
  const buffer = asBuffer(line);
  let count = 0;
  for (let place = buffer.indexOf(replacementBytes); place !== -1; count += 1) {
    place = buffer.indexOf(replacementBytes, place + replacementBytes.length);
  }
  return count;
}

function countOf(text: string, character: string): number {
  return text.split(character).length - 1;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
