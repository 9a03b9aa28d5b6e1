import type { LineFormat, LineFormatName } from './line-format.js';

/** Stands in until the formats are there. */
export async function createLineFormat(name: LineFormatName): Promise<LineFormat> {
  return {
    name,
    apply: () => {
      throw new TypeError(`The format ${name} is not there.`);
    },
  };
}
