/** A call of a logger in a source file whose sentence is not written there as it is. */
export interface VaryingSentence {
  readonly path: string;
  readonly line: number;
  readonly argument: string;
}

const callPattern =
  /\b(?:log|logger)\??\.(?:trace|debug|info|warn|error)\(|\b(?:log|logger)\[\w+\]\(/g;

/** A text in quotes, or several that are put together. */
const literal = String.raw`(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")(?:\s*\+\s*'(?:[^'\\\n]|\\.)*')*`;
const constantPattern = new RegExp(
  String.raw`^(?:${literal}|[^'"${'`'}]*\?\s*${literal}\s*:\s*${literal}|[^'"${'`'}]*===\s*'[^']*'\s*\?\s*${literal}\s*:\s*${literal})$`,
);

/**
 * Finds the calls of loggers whose first argument is no literal, nor a choice of two. A private method that passes its
 * first parameter on is looked at where it is called.
 */
export function findVaryingSentences(path: string, text: string): VaryingSentence[] {
  const found: VaryingSentence[] = [];
  for (const call of text.matchAll(callPattern)) {
    const start = call.index + call[0].length;
    const argument = firstArgument(text, start);
    if (constantPattern.test(argument) || isPassedOn(text, call.index, argument)) continue;
    found.push({ path, line: text.slice(0, start).split('\n').length, argument });
  }
  return found;
}

/** Whether the argument is the first text that a private method gets, and all its calls in the file give a literal. */
function isPassedOn(text: string, index: number, argument: string): boolean {
  if (!/^\w+$/.test(argument)) return false;
  const methods = [...text.slice(0, index).matchAll(/(#\w+)\((\w+): string/g)];
  const [, name, parameter] = methods.at(-1) ?? [];
  if (name === undefined || parameter !== argument) return false;
  const calls = [...text.matchAll(new RegExp(String.raw`this\.${name}\(`, 'g'))];
  return (
    calls.length > 0 &&
    calls.every(({ index: at, 0: { length } }) =>
      constantPattern.test(firstArgument(text, at + length)),
    )
  );
}

/** The text up to the comma or bracket that ends the first argument. */
function firstArgument(text: string, start: number): string {
  let depth = 0;
  let quote = '';
  for (let at = start; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (quote !== '') {
      if (character === '\\') at += 1;
      else if (character === quote) quote = '';
    } else if (`'"\``.includes(character)) quote = character;
    else if ('([{'.includes(character)) depth += 1;
    else if (depth > 0 && ')]}'.includes(character)) depth -= 1;
    else if (depth === 0 && ',)'.includes(character)) return text.slice(start, at).trim();
  }
  return text.slice(start).trim();
}
