import type { LineContext } from './line-format.js';

/** The start of every message, but for the offset of its line, which stands between the two pieces in decimal digits. */
export interface LineHead {
  /** From the opening brace to the hyphen before the offset. */
  readonly beforeOffset: Uint8Array;
  /** From the end of the id to the last field of the head; without a comma behind it. */
  readonly afterOffset: Uint8Array;
}

/**
 * What the fields are called. Those that are spliced into somebody else's object have a prefix, because `id`,
 * `time`, `host` and `source` are likely to be in it, and `_id` and `_source` are refused by Elasticsearch.
 */
const keyPrefixes = { envelope: '', json: 'chukcha_' } as const;

const encoder = new TextEncoder();

/** @throws {RangeError} when the offset or the time of the context is no such number */
export function lineHead(kind: keyof typeof keyPrefixes, context: LineContext): LineHead {
  const { source, host, sourceId, offset, timeMs } = context;
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(
      `The offset ${offset} of lines of ${source} cannot be used: expected a whole number of bytes, 0 or more.`,
    );
  }
  const time = new Date(timeMs);
  if (Number.isNaN(time.getTime())) {
    throw new RangeError(
      `The time ${timeMs} of lines of ${source} cannot be used: expected milliseconds since 1970.`,
    );
  }
  const prefix = keyPrefixes[kind];
  const openId = JSON.stringify(`${sourceId}-`).slice(0, -1);
  const fields = [
    `"${prefix}time":"${time.toISOString()}"`,
    `"${prefix}host":${JSON.stringify(host)}`,
    `"${prefix}source":${JSON.stringify(source)}`,
  ];
  return {
    beforeOffset: encoder.encode(`{"${prefix}id":${openId}`),
    afterOffset: encoder.encode(`",${fields.join(',')}`),
  };
}
