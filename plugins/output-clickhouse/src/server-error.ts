/** How much of what a server says goes into a sentence; it quotes the rows that it cannot read. */
const textLengthMax = 600;

/** ClickHouse itself refused a statement. */
export class ServerError extends Error {
  /** The number that ClickHouse gives to this kind of error. */
  readonly code: number;
  /** The row that it names, counted from 1; undefined when it names none. */
  readonly row: number | undefined;

  constructor(code: number, text: string) {
    super(shorten(text));
    this.name = 'ServerError';
    this.code = code;
    this.row = rowOf(text);
  }
}

/**
 * Reads what servers of all versions write: `Code: 60. DB::Exception: ... (UNKNOWN_TABLE)`, and before 21 `Code: 60,
 * e.displayText() = DB::Exception: ..., e.what() = ...`. Undefined for a text of something else.
 */
export function parseServerError(text: string, codeGiven?: number): ServerError | undefined {
  const code = codeGiven ?? Number(/Code: (\d+)[.,]/.exec(text)?.[1] ?? Number.NaN);
  if (!Number.isInteger(code)) return undefined;
  return new ServerError(code, text);
}

/** The last number, because what stands before it may quote a row that says the same. */
function rowOf(text: string): number | undefined {
  const found = [...text.matchAll(/(?:\(at row |is violated at row )(\d+)/g)].at(-1);
  return found === undefined ? undefined : Number(found[1]);
}

function shorten(text: string): string {
  const short = text
    .replace(/, e\.what\(\) = [\s\S]*$/, '')
    .replace(/Code: \d+[.,]\s*(?:e\.displayText\(\) = )?/g, '')
    .replace(/DB::(?:\w+::)*\w*Exception: /g, '')
    .replace(/\s*\(version [^)]*\)/g, '')
    .replace(/\s*\([A-Z_]{4,}\)\.?/g, '')
    .replace(/\s*:\s+\(in file\/uri [\s\S]*$/, '')
    .replace(/\s*:\s+While executing [\s\S]*$/, '')
    .replace(/\s+/g, ' ')
    .trim();
  return short.length <= textLengthMax ? short : `${short.slice(0, textLengthMax)} ...`;
}
