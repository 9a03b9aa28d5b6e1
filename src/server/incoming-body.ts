import { BodyBuffer, type BodyMemory, smallBodyBytesMax } from './body-buffer.js';

/**
 * A body of known size on its way in. When there is no memory for it, it keeps the error, gives back what it
 * has, and throws the rest away as it comes, so that what follows on the connection is found.
 */
export class IncomingBody {
  readonly buffer: BodyBuffer;
  leftBytes: number;
  error: unknown;

  constructor(memory: BodyMemory, byteCount: number) {
    this.buffer = new BodyBuffer(memory, byteCount, byteCount);
    this.leftBytes = byteCount;
  }

  /** Where the next bytes can be read to without a copy; `undefined` while that does not pay. */
  room(): Buffer | undefined {
    const isWorthIt = this.buffer.byteCount > smallBodyBytesMax / 2 && this.leftBytes > 0;
    if (!isWorthIt || this.error !== undefined) return undefined;
    try {
      const room = this.buffer.room(1);
      return room.length <= this.leftBytes ? room : room.subarray(0, this.leftBytes);
    } catch (error) {
      this.#refuse(error);
      return undefined;
    }
  }

  /** Counts bytes that were put into the room. */
  advance(byteCount: number): void {
    this.buffer.advance(byteCount);
    this.leftBytes -= byteCount;
  }

  /** Copies the bytes of the body that `[at, end)` begins with; returns how many they are. */
  take(from: Buffer, at: number, end: number): number {
    const byteCount = Math.min(end - at, this.leftBytes);
    this.leftBytes -= byteCount;
    if (this.error !== undefined) return byteCount;
    try {
      this.buffer.add(from.subarray(at, at + byteCount));
    } catch (error) {
      this.#refuse(error);
    }
    return byteCount;
  }

  release(): void {
    this.buffer.release();
  }

  #refuse(error: unknown): void {
    this.error = error;
    this.buffer.release();
  }
}
