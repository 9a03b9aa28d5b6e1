import { isUtf8 } from 'node:buffer';
import type { TargetOptions } from './target-options.js';

/** A message of a sample as the document that it would become. */
export interface SampleDocument {
  readonly fields: Readonly<Record<string, unknown>>;
}

/** How many messages of a sample are looked at. */
const documentsMax = 1_000;

const newline = 0x0a;

/** The documents that messages become; those that are no documents are left out. */
export function sampleDocuments(sample: Uint8Array, options: TargetOptions): SampleDocument[] {
  const bytes = Buffer.from(sample.buffer, sample.byteOffset, sample.byteLength);
  const documents: SampleDocument[] = [];
  let start = 0;
  for (
    let end = bytes.indexOf(newline);
    end !== -1 && documents.length < documentsMax;
    end = bytes.indexOf(newline, start)
  ) {
    const fields = fieldsOf(bytes.subarray(start, end), options);
    if (fields !== undefined) documents.push({ fields });
    start = end + 1;
  }
  return documents;
}

function fieldsOf(
  message: Buffer,
  { format, textField }: TargetOptions,
): Readonly<Record<string, unknown>> | undefined {
  if (format !== 'text') {
    try {
      const parsed: unknown = JSON.parse(message.toString());
      if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
        return parsed as Readonly<Record<string, unknown>>;
      }
    } catch {
      // It is text, or for the server to refuse.
    }
  }
  if (format === 'json') return undefined;
  return isUtf8(message)
    ? { [textField]: message.toString() }
    : { [`${textField}_base64`]: message.toString('base64') };
}
