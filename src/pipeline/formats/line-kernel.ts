import type { FormattedLines } from './line-format.js';
import type { LineHead } from './line-head.js';

export interface KernelTask {
  readonly kind: 'json' | 'envelope';
  /** Whole lines, at least one. */
  readonly lines: Uint8Array;
  /** The place of the first line in its source, in bytes. */
  readonly offset: number;
  readonly head: LineHead;
  readonly outBytesMax: number;
  /** At least `kernelMessageBytesMin` of the head. */
  readonly messageBytesMax: number;
}

/** The inner loop of the formats that add to lines. Both kernels make the same bytes. */
export interface LineKernel {
  format(task: KernelTask): FormattedLines;
}

/**
 * What is kept free for the end of a message that is cut: the quote (1), `,"wrapped":true` (15), `,"cut":` and 16
 * digits (23), `,"replaced":` and 7 digits (19), `}` and newline (2) make 60. `assembly/line-kernel.ts` has it too.
 */
export const cutEndBytesMax = 64;

/** What stands between the head of an envelope and its line. */
export const messageKey = new TextEncoder().encode(',"message":"');

/** The longest offset, `Number.MAX_SAFE_INTEGER`, in digits. */
const offsetDigitsMax = 16;

/** The smallest limit of messages that a head leaves room in: a cut message then has at least a few characters. */
export function kernelMessageBytesMin(head: LineHead): number {
  const headBytesMax = head.beforeOffset.length + offsetDigitsMax + head.afterOffset.length;
  return headBytesMax + messageKey.length + cutEndBytesMax + 16;
}
