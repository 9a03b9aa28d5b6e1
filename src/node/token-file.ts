import { readFile } from 'node:fs/promises';
import { Ajv, type ErrorObject } from 'ajv';
import { isNode, LineCounter, parseDocument } from 'yaml';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { type Right, rights } from '../protocol/rights.js';
import type { TokenEntry } from '../server/access/access.js';

/** More tokens than anybody keeps by hand. */
const tokenCountMax = 1_000;

/** The largest file that is read. */
const fileBytesMax = 4 * 1024 * 1024;

/** Whom a token is for, and which categories a right is for; as regular expressions. */
export const tokenNamePattern = '^[A-Za-z0-9_.-]{1,64}$';
export const categoryPatternPattern = '^([A-Za-z0-9_-]{1,255}\\*?|\\*)$';

const patternList = {
  type: 'array',
  maxItems: 1_000,
  items: { type: 'string', pattern: categoryPatternPattern },
};

const schema = {
  type: 'object',
  additionalProperties: false,
  required: ['tokens'],
  properties: {
    tokens: {
      type: 'array',
      maxItems: tokenCountMax,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'sha256'],
        properties: {
          name: { type: 'string', pattern: tokenNamePattern },
          sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
          ...Object.fromEntries(rights.map((right) => [right, patternList])),
        },
      },
    },
  },
};

type FileEntry = { readonly name: string; readonly sha256: string } & {
  readonly [R in Right]?: readonly string[];
};

/** Reads the file of the tokens. Throws `invalid_option` with the line and the reason; values are not repeated. */
export async function readTokenFile(path: string): Promise<readonly TokenEntry[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `Token file ${path} cannot be read (${errorMessage(cause)}): make it with \`chukcha token create\`, or name another with --tokens.`,
      { cause },
    );
  }
  return parseTokens(text, path);
}

/** Reads the text of a token file: YAML, which JSON is a part of. Throws as {@link readTokenFile}. */
export function parseTokens(text: string, path: string): readonly TokenEntry[] {
  if (text.length > fileBytesMax) throw invalid(path, 1, `it is larger than ${fileBytesMax} bytes`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [problem] = document.errors;
  if (problem !== undefined) {
    // The message of the parser repeats the text of the file, in which a token may stand by mistake.
    throw invalid(path, lines.linePos(problem.pos[0]).line, `it is not YAML (${problem.code})`);
  }
  const lineOf = (place: readonly (string | number)[]): number => {
    for (let length = place.length; length > 0; length -= 1) {
      const node = document.getIn(place.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  };
  const content: unknown = document.toJS({ maxAliasCount: 0 });
  const validate = new Ajv({ strict: false }).compile(schema);
  if (!validate(content)) {
    const [error] = validate.errors as [ErrorObject];
    const place = error.instancePath.split('/').slice(1).map(toKey);
    throw invalid(path, lineOf(place), reasonOf(error, place));
  }
  const { tokens } = content as { readonly tokens: readonly FileEntry[] };
  for (const field of ['name', 'sha256'] as const) {
    const seen = new Set<string>();
    for (const [index, token] of tokens.entries()) {
      if (seen.has(token[field])) {
        throw invalid(path, lineOf(['tokens', index, field]), `this ${field} is there twice`);
      }
      seen.add(token[field]);
    }
  }
  return tokens.map(({ name, sha256, ...patterns }) => ({
    name,
    digest: Buffer.from(sha256, 'hex'),
    patterns,
  }));
}

function toKey(word: string): string | number {
  return /^[0-9]+$/.test(word) ? Number(word) : word;
}

function reasonOf({ keyword, params, message }: ErrorObject, place: readonly unknown[]): string {
  const name = place.length === 0 ? 'the file' : place.join('.');
  if (keyword === 'additionalProperties') {
    const word = String(params['additionalProperty']).slice(0, 40);
    return `${name} has ${JSON.stringify(word)}, which is none of name, sha256, ${rights.join(', ')}`;
  }
  return `${name} ${message ?? 'is not allowed'}`;
}

function invalid(path: string, line: number, reason: string): ChukchaError {
  return new ChukchaError(
    'invalid_option',
    `Token file ${path} is not valid in line ${line}: ${reason}. Expected "tokens:" with entries of \`chukcha token create\`.`,
    { fields: { line } },
  );
}
