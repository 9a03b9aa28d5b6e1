/** The contents of a file, unpacked where they are packed, by their offsets. */
export interface ByteSource {
  /**
   * Fills the buffer with what stands behind the offset; resolves with how many bytes it got, fewer than the buffer
   * has only at the end. Offsets that go up are cheap; a packed file is unpacked anew to go back.
   */
  read(buffer: Buffer, offset: number): Promise<number>;
  /** Why the last read got no further, where that was not the end. */
  readonly failure?: Error | undefined;
  close(): Promise<void>;
}
