import { isUtf8 } from 'node:buffer';
import type { OutputBatch } from '@chukcha/plugin-api';
import type { MessageFormatter } from './message-formatter.js';

/**
 * Each message as an object with its coordinates, one on a line. A message is always a string there, also when it is JSON
 * itself, so that its bytes can be had back exactly; bytes that are not UTF-8 are in `message_base64`.
 */
export class JsonFormatter implements MessageFormatter {
  format(message: Buffer, { category, chunk }: OutputBatch, offset: number): string {
    const content = isUtf8(message)
      ? { message: message.toString() }
      : { message_base64: message.toString('base64') };
    // JSON leaves DEL and the C1 controls as they are, which some terminals obey.
    return `${escapeRest(JSON.stringify({ category, chunk, offset, ...content }))}\n`;
  }
}

function escapeRest(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
