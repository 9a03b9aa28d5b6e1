import type { OutputBatch } from '@chukcha/plugin-api';

/** Makes what is printed of a message. */
export interface MessageFormatter {
  /**
   * The line for a message, with its newline. MUST NOT throw, and MUST give the same bytes for the same message, so that a
   * batch whose printing was interrupted can go on in the middle.
   *
   * @param message the bytes of the message without its newline
   * @param offset where it starts in the chunk, in bytes
   */
  format(message: Buffer, batch: OutputBatch, offset: number): string;
}
