/**
 * The same text in memory of its own. A text that is cut from a longer one refers to that: a name that is remembered would
 * keep the whole request, or the whole file, that it came with.
 *
 * @param text in Latin-1, as all names are
 */
export function detachedText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
