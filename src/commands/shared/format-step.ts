import { escapeUnprintable } from '../../common/printable.js';
import { wrapText } from './wrap-text.js';

/** Something that was looked at. */
export interface ShownStep {
  /** What was looked at, in a few words. */
  readonly about: string;
  readonly result: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** What mends it. */
  readonly fix?: string;
}

const marks: Readonly<Record<ShownStep['result'], string>> = {
  ok: 'ok     ',
  warning: 'warning',
  failed: 'FAILED ',
};

/** The lines that show a person what was found: in 80 columns, with what mends it below. */
export function formatStep({ about, result, detail, fix }: ShownStep): string[] {
  const indent = ' '.repeat(marks.ok.length + 2);
  const [first = '', ...rest] = wrapText(escapeUnprintable(`${about}: ${detail}`), indent);
  return [
    `${marks[result]}${first.slice(marks.ok.length)}`,
    ...rest,
    // A command stays on one line, so that it can be copied.
    ...(fix === undefined
      ? []
      : fix.split('\n').map((line) => `${indent}-> ${escapeUnprintable(line)}`)),
  ];
}
