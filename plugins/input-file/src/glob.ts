import { resolve } from 'node:path';

/** One part of a path between slashes: a name as it is, a pattern for names, or `**`. */
export type GlobSegment =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'pattern'; readonly pattern: RegExp }
  | { readonly kind: 'any_directories' };

/** An absolute path in which some segments may be patterns. */
export interface Glob {
  readonly segments: readonly GlobSegment[];
  /** True when it can match one path only. */
  readonly isLiteral: boolean;
  /** That path, for a literal; else the directory under which all matches are. */
  toPath(): string;
  matches(absolutePath: string): boolean;
}

/** How many globs the braces of one may stand for; far above what people write. */
const alternativeCountMax = 1024;

const special = /[*?[{]/;

/**
 * Reads a glob: `*` and `?` match within a name, `**` as a whole segment matches any number of
 * directories, `[abc]`, `[a-z]` and `[!abc]` one character, `{a,b}` either; a backslash takes the meaning
 * of what follows. As in a shell, a name that begins with a dot is matched only by a segment that does.
 *
 * Returns one glob for each way to choose from the braces. Relative globs start at `directory`.
 */
export function parseGlob(text: string, directory: string): Glob[] {
  return expandBraces(text).map((pattern) => parseWithoutBraces(pattern, directory, '(?!\\.)'));
}

/**
 * A test for paths to leave out: a glob without a slash is matched with the last segment alone. What is
 * to be left out may begin with a dot, and may lie below a directory that does.
 */
export function parseExclude(text: string, directory: string): (absolutePath: string) => boolean {
  const isName = !text.includes('/');
  const globs = expandBraces(text).map((pattern) =>
    parseWithoutBraces(pattern, isName ? '/' : directory, ''),
  );
  return (absolutePath) => {
    const path = isName ? absolutePath.slice(absolutePath.lastIndexOf('/')) : absolutePath;
    return globs.some((glob) => glob.matches(path));
  };
}

/** `noDot` is what a regular expression says to refuse a dot at the beginning of a name. */
function parseWithoutBraces(text: string, directory: string, noDot: string): Glob {
  // Resolving would take `..` behind a `**` for a step back from it, but nobody can mean anything else.
  const segments = resolve(directory, text)
    .split('/')
    .slice(1)
    .map((part) => parseSegment(part, noDot));
  const source = segments.map((segment, index) =>
    sourceOf(segment, index === segments.length - 1, noDot),
  );
  const whole = new RegExp(`^/${source.join('')}$`, 's');
  const isLiteral = segments.every((segment) => segment.kind === 'name');
  return {
    segments,
    isLiteral,
    matches: (path) => whole.test(path),
    toPath: () => toPath(segments),
  };
}

/** The glob that matches this absolute path and nothing else, whatever characters are in it. */
export function literalGlob(path: string): Glob {
  const segments = path
    .split('/')
    .slice(1)
    .map((name): GlobSegment => ({ kind: 'name', name }));
  return { segments, isLiteral: true, matches: (other) => other === path, toPath: () => path };
}

function toPath(segments: readonly GlobSegment[]): string {
  const names: string[] = [];
  for (const segment of segments) {
    if (segment.kind !== 'name') break;
    names.push(segment.name);
  }
  return `/${names.join('/')}`;
}

function parseSegment(text: string, noDot: string): GlobSegment {
  if (text === '**') return { kind: 'any_directories' };
  if (special.test(text.replaceAll(/\\./gs, ''))) {
    return { kind: 'pattern', pattern: new RegExp(`^${nameSource(text, noDot)}$`, 's') };
  }
  return { kind: 'name', name: text.replaceAll(/\\(.)/gs, '$1') };
}

function sourceOf(segment: GlobSegment, isLast: boolean, noDot: string): string {
  switch (segment.kind) {
    case 'any_directories':
      return `(?:${noDot}[^/]+/)*${isLast ? `${noDot}[^/]+` : ''}`;
    case 'name':
      return escapeText(segment.name) + (isLast ? '' : '/');
    case 'pattern':
      return segment.pattern.source.slice(1, -1) + (isLast ? '' : '/');
  }
}

/** The source of a regular expression for one name. */
function nameSource(text: string, noDot: string): string {
  let source = /^\\?\./.test(text) ? '' : noDot;
  for (let at = 0; at < text.length; ) {
    const [length, part] = readToken(text, at);
    source += part;
    at += length;
  }
  return source;
}

/** The token at an index: its length in the glob, and what it is in a regular expression. */
function readToken(text: string, at: number): readonly [length: number, source: string] {
  const character = text.charAt(at);
  if (character === '*') return [1, '[^/]*'];
  if (character === '?') return [1, '[^/]'];
  if (character === '\\' && at + 1 < text.length) return [2, escapeText(text.charAt(at + 1))];
  const set = character === '[' ? /^\[(!|\^)?(\]?[^\]]*)\]/s.exec(text.slice(at)) : null;
  if (set !== null && set[2] !== '') {
    const [whole, negation, members = ''] = set;
    const source = members.replaceAll(/[\\\][^]/g, '\\$&');
    return [whole.length, `(?!/)[${negation === undefined ? '' : '^'}${source}]`];
  }
  return [1, escapeText(character)];
}

function escapeText(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** All choices from the braces; braces without a comma stay as they are. Throws a RangeError for too many. */
export function expandBraces(text: string): string[] {
  const done: string[] = [];
  const open = [text];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const braces = findBraces(next);
    if (braces === undefined) {
      done.push(next);
      continue;
    }
    const { start, end, choices } = braces;
    const [head, tail] = [next.slice(0, start), next.slice(end + 1)];
    for (const choice of choices.toReversed()) open.push(head + choice + tail);
    if (open.length + done.length > alternativeCountMax) {
      throw new RangeError(
        `The braces of ${JSON.stringify(text)} stand for more than ${alternativeCountMax} globs: use * instead.`,
      );
    }
  }
  return done;
}

interface Braces {
  readonly start: number;
  readonly end: number;
  readonly choices: readonly string[];
}

/** The first pair of braces with a comma of its own. */
function findBraces(text: string): Braces | undefined {
  for (let start = 0; start < text.length; start += 1) {
    if (text.charAt(start) === '\\') start += 1;
    else if (text.charAt(start) === '{') {
      const braces = readBraces(text, start);
      if (braces !== undefined) return braces;
    }
  }
  return undefined;
}

function readBraces(text: string, start: number): Braces | undefined {
  const choices: string[] = [];
  let depth = 0;
  let choiceStart = start + 1;
  for (let at = start; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') at += 1;
    else if (character === '{') depth += 1;
    else if (character === ',' && depth === 1) {
      choices.push(text.slice(choiceStart, at));
      choiceStart = at + 1;
    } else if (character === '}') {
      depth -= 1;
      if (depth > 0) continue;
      if (choices.length === 0) return undefined;
      return { start, end: at, choices: [...choices, text.slice(choiceStart, at)] };
    }
  }
  return undefined;
}
