import { ChukchaError } from './chukcha-error.js';
import { categoryNameLengthMax, chunkIndexMax, nodeNameLengthMax } from './limits.js';

/** What a chunk's file name says: the node that wrote it, and the chunk's place among that node's chunks. */
export interface ChunkName {
  readonly owner: string;
  readonly index: number;
}

const namePattern = /^[A-Za-z0-9_-]+$/;
const chunkNamePattern = /^([A-Za-z0-9_-]{1,64})-chunk([0-9]{9})$/;

/** Longest part of a refused name that an error repeats. */
const quotedLengthMax = 40;

function checkName(kind: string, name: string, lengthMax: number): string {
  if (name.length <= lengthMax && namePattern.test(name)) return name;
  throw new ChukchaError(
    'invalid_name',
    `${kind} name ${quoted(name)} is not valid: expected 1 to ${lengthMax} of the characters A-Z, a-z, 0-9, _ and -.`,
    { fields: { kind } },
  );
}

function quoted(text: string): string {
  const head = text.length > quotedLengthMax ? `${text.slice(0, quotedLengthMax)}...` : text;
  return JSON.stringify(head);
}

/** Returns the category name, or throws `invalid_name`. A valid name is safe as a directory name. */
export function checkCategoryName(name: string): string {
  return checkName('category', name, categoryNameLengthMax);
}

/** Returns the node name, or throws `invalid_name`. */
export function checkNodeName(name: string): string {
  return checkName('node', name, nodeNameLengthMax);
}

/** Returns the group name, or throws `invalid_name`. */
export function checkGroupName(name: string): string {
  return checkName('group', name, nodeNameLengthMax);
}

/** Returns the producer name, or throws `invalid_name`. */
export function checkProducerName(name: string): string {
  return checkName('producer', name, nodeNameLengthMax);
}

/** Returns the name of whoever holds a lease, or throws `invalid_name`. */
export function checkHolderName(name: string): string {
  return checkName('holder', name, categoryNameLengthMax);
}

/** Tells whether a directory of the data directory can be a category. */
export function isCategoryName(name: string): boolean {
  return name.length <= categoryNameLengthMax && namePattern.test(name);
}

/** The file name of a chunk: `<owner>-chunk<nine digits>`. */
export function formatChunkName(name: ChunkName): string {
  if (!Number.isInteger(name.index) || name.index < 0 || name.index > chunkIndexMax) {
    throw new RangeError(`Expected a chunk index from 0 to ${chunkIndexMax}, got ${name.index}`);
  }
  return `${name.owner}-chunk${String(name.index).padStart(9, '0')}`;
}

/** Reads a chunk's file name; `undefined` when the text is not one. An owner may itself contain `-chunk`. */
export function parseChunkName(text: string): ChunkName | undefined {
  const match = chunkNamePattern.exec(text);
  if (match === null) return undefined;
  const [, owner = '', digits = ''] = match;
  return { owner, index: Number(digits) };
}

/** As {@link parseChunkName}, but throws `invalid_name` for what is not a chunk's name. */
export function checkChunkName(text: string): ChunkName {
  const name = parseChunkName(text);
  if (name !== undefined) return name;
  throw new ChukchaError(
    'invalid_name',
    `chunk name ${quoted(text)} is not valid: expected <owner>-chunk and nine digits, for example node1-chunk000000000.`,
    { fields: { kind: 'chunk' } },
  );
}

/** Orders chunks as lists show them: by owner, then by index. */
export function compareChunkNames(left: ChunkName, right: ChunkName): number {
  if (left.owner !== right.owner) return left.owner < right.owner ? -1 : 1;
  return left.index - right.index;
}
