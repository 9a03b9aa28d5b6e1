/**
 * What a terminal or a reader of logs may obey, or show as something else than it is: control characters (C0, C1, DEL),
 * format characters (those that turn the direction of writing, those of no width), the line and paragraph separators
 * of Unicode, and halves of surrogate pairs.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Writes what is not to be printed as `\uXXXX`, which JSON reads back. */
export function escapeUnprintable(text: string): string {
  return text.replace(unprintable, escapeCharacter);
}

/** The same, but for line ends and tabs: for what is told to people in several lines. */
export function escapeLines(text: string): string {
  return text.replace(unprintable, (character) =>
    character === '\n' || character === '\t' ? character : escapeCharacter(character),
  );
}

/** Cuts what is longer, and says so at its end. Never between the halves of a surrogate pair. */
export function cutText(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const last = text.charCodeAt(lengthMax - 1);
  const end = last >= 0xd800 && last <= 0xdbff ? lengthMax - 1 : lengthMax;
  return `${text.slice(0, end)}… (${text.length - end} characters more)`;
}

function escapeCharacter(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
