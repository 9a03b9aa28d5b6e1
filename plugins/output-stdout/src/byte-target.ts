/** Where bytes go, one write at a time. */
export interface ByteTarget {
  /** The most bytes that one call of `write` is given. */
  readonly pieceBytesMax: number;
  /**
   * Resolves with how many of the bytes were taken, counted from the first; rejects with the error of
   * the system when none were. The bytes MUST NOT be read any more once the call has returned.
   */
  write(bytes: Uint8Array): Promise<number>;
  /** Lets go of the target without closing it: it belongs to the process. */
  release(): void;
}
