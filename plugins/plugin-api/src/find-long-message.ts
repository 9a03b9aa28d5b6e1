const NEWLINE = 0x0a;

/**
 * The offset of the first message that has more than `messageBytesMax` bytes with its newline;
 * `undefined` when all are within the limit. The bytes are whole messages: they end with `\n`.
 *
 * The cost does not depend on the number of lines: from each message start the search looks back from
 * the furthest byte where the message may end.
 */
export function findLongMessage(bytes: Uint8Array, messageBytesMax: number): number | undefined {
  let messageStart = 0;
  while (bytes.length - messageStart > messageBytesMax) {
    const end = bytes.lastIndexOf(NEWLINE, messageStart + messageBytesMax - 1);
    if (end < messageStart) return messageStart;
    messageStart = end + 1;
  }
  return undefined;
}
