import { findLongMessage } from '@chukcha/plugin-api';
import { characterStart, type Ending, type FrameResult, type Framing } from './framing.js';

const NEWLINE = 0x0a;

/** Lines as they are: looks only for the last newline. */
export class RawFraming implements Framing {
  readonly sourceBytesMax: number;
  readonly blockBytesMax = Number.POSITIVE_INFINITY;

  /** @param messageBytesMax with the newline */
  constructor(messageBytesMax: number) {
    this.sourceBytesMax = messageBytesMax;
  }

  frame(buffer: Buffer, byteCount: number, ending: Ending): FrameResult {
    const limit = this.sourceBytesMax;
    let end = byteCount === 0 ? 0 : buffer.lastIndexOf(NEWLINE, byteCount - 1) + 1;
    const long = findLongMessage(buffer.subarray(0, end), limit);
    if (long === 0) return { kind: 'long_line' };
    if (long !== undefined) end = long;
    else if (ending === 'closed' && end < byteCount && byteCount - end < limit) {
      buffer[byteCount] = NEWLINE;
      return {
        kind: 'messages',
        output: buffer.subarray(0, byteCount + 1),
        sourceBytes: byteCount,
      };
    }
    if (end > 0) return { kind: 'messages', output: buffer.subarray(0, end), sourceBytes: end };
    return byteCount < limit ? { kind: 'more' } : { kind: 'long_line' };
  }

  lineEnd(bytes: Buffer, start: number): number {
    const at = bytes.indexOf(NEWLINE, start);
    return at === -1 ? -1 : at + 1;
  }

  cut(bytes: Buffer, outputBytesMax: number): { output: Buffer; sourceBytes: number } {
    const end = characterStart(bytes, outputBytesMax);
    return { output: bytes.subarray(0, end), sourceBytes: end };
  }
}
