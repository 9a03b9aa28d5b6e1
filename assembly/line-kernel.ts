/**
 * The inner loop of the line formats `json` and `envelope`, in AssemblyScript, which is compiled to
 * WebAssembly by `npm run build:kernel`. It turns whole lines in linear memory into whole messages.
 *
 * The host lays out the memory from `workspaceStart()` on:
 *
 *     | idHead | restHead | input lines | 16 bytes | output | slack |
 *
 * A message is `idHead`, its offset in decimal digits, `restHead`, then either the rest of the line's object or,
 * behind the key `message` that ends `restHead`, the line as a JSON string. Blocks of 16 bytes are copied at once and the cursor is moved by what was
 * good of them, so loads and stores may touch up to 16 bytes behind the input and behind the output; both are
 * there. `src/pipeline/formats/javascript-line-kernel.ts` does the same slowly and is what the tests compare with.
 */

/** The `kind` of the format `json`; every other one is an envelope. */
const KIND_JSON: u32 = 1;

const NEWLINE: u32 = 0x0a;
const SPACE: u32 = 0x20;
const QUOTE: u32 = 0x22;
const COMMA: u32 = 0x2c;
const BACKSLASH: u32 = 0x5c;
const OPENING_BRACE: u32 = 0x7b;
const CLOSING_BRACE: u32 = 0x7d;
const BILLION: u64 = 1_000_000_000;

/** What is kept free for the end of a cut message: `","wrapped":true,"cut":N,"replaced":M}` and the newline. */
const CUT_END_BYTES_MAX: usize = 64;

// What the last call has done, read by the host.
export let consumedBytes: u32 = 0;
export let cutCount: u32 = 0;
export let wrappedCount: u32 = 0;

let idHead: usize = 0;
let idHeadBytes: usize = 0;
let restHead: usize = 0;
let restHeadBytes: usize = 0;
let messageKeyBytes: usize = 0;
let messageBytesMax: usize = 0;
let inputIsUtf8: bool = false;

// What came of the line that is being formatted: WebAssembly functions of AssemblyScript give one value only.
let lineEnd: usize = 0;
let lineIsCut: bool = false;
let lineIsWrapped: bool = false;

// Where `escapeText` stopped, and how many pieces that are not UTF-8 it has replaced.
let textEnd: usize = 0;
let replacedCount: u32 = 0;

/** The first byte of memory that the host may use. */
export function workspaceStart(): usize {
  return __heap_base;
}

/**
 * Tells where the pieces of each message's head are. The last `keyBytes` of the second piece are `,"message":"`,
 * which only an envelope has.
 */
export function setHead(
  idStart: usize,
  idBytes: usize,
  restStart: usize,
  restBytes: usize,
  keyBytes: usize,
  messageLimit: usize,
): void {
  idHead = idStart;
  idHeadBytes = idBytes;
  restHead = restStart;
  restHeadBytes = restBytes;
  messageKeyBytes = keyBytes;
  messageBytesMax = messageLimit;
}

/**
 * Formats the lines from `inputStart` to `inputEnd`, where the last byte is a newline, to `outputStart`: as
 * many as have room in `outputBytesMax` bytes, and the first one always. `offset` is the place of the first
 * line in its source. With `isUtf8` the host vouches for the whole input, and longer characters are copied
 * without a look at them. Returns the end of the output.
 */
export function formatLines(
  kind: u32,
  inputStart: usize,
  inputEnd: usize,
  outputStart: usize,
  outputBytesMax: usize,
  offset: f64,
  isUtf8: bool,
): usize {
  inputIsUtf8 = isUtf8;
  const firstOffset = <u64>offset;
  const outputLimit = outputStart + outputBytesMax;
  let line = inputStart;
  let output = outputStart;
  cutCount = 0;
  wrappedCount = 0;
  while (line < inputEnd) {
    lineIsCut = false;
    lineIsWrapped = false;
    const lineOffset = firstOffset + (line - inputStart);
    const end =
      kind === KIND_JSON
        ? formatObject(line, output, lineOffset)
        : formatEnvelope(line, output, lineOffset);
    if (end > outputLimit && output !== outputStart) break;
    cutCount += u32(lineIsCut);
    wrappedCount += u32(lineIsWrapped);
    output = end;
    line = lineEnd;
  }
  consumedBytes = <u32>(line - inputStart);
  return output;
}

/** Splices the head into the line's object; what is no object, or too long, becomes an envelope. */
function formatObject(line: usize, output: usize, offset: u64): usize {
  const newline = findNewline(line);
  let opening = line;
  while (opening < newline && isSpace(load<u8>(opening))) opening += 1;
  let closing = newline - 1;
  while (closing > opening && isSpace(load<u8>(closing))) closing -= 1;
  const isObject =
    closing > opening && load<u8>(opening) === OPENING_BRACE && load<u8>(closing) === CLOSING_BRACE;
  lineIsWrapped = !isObject;
  if (!isObject) return formatEnvelope(line, output, offset);
  let end = writeHead(output, offset, restHeadBytes - messageKeyBytes);
  let rest = opening + 1;
  while (isSpace(load<u8>(rest))) rest += 1;
  if (rest !== closing) {
    store<u8>(end, COMMA);
    end += 1;
    rest = opening + 1;
  }
  const restBytes = closing + 1 - rest;
  if (end + restBytes + 1 > output + messageBytesMax) return formatEnvelope(line, output, offset);
  end = copyBlocks(end, rest, restBytes);
  store<u8>(end, NEWLINE);
  lineEnd = newline + 1;
  return end + 1;
}

/** Makes the line a JSON string behind the head, and cuts it when the message would be too long. */
function formatEnvelope(line: usize, output: usize, offset: u64): usize {
  const limit = output + messageBytesMax;
  const text = writeHead(output, offset, restHeadBytes);
  let end = escapeText(line, text, limit);
  if (load<u8>(textEnd) === NEWLINE) {
    lineEnd = textEnd + 1;
    end = writeEnd(end, 0);
    if (end <= limit) return end;
  }
  lineIsCut = true;
  const newline = findNewline(textEnd);
  lineEnd = newline + 1;
  end = escapeText(line, text, limit - CUT_END_BYTES_MAX);
  return writeEnd(end, newline - line);
}

/** Closes the string and says what was done to it. `cutBytes` is the length of a line that was cut, or 0. */
function writeEnd(output: usize, cutBytes: usize): usize {
  let end = output + 1;
  store<u8>(output, QUOTE);
  if (lineIsWrapped) end = writeText(end, ',"wrapped":true');
  if (cutBytes > 0) end = writeDecimal(writeText(end, ',"cut":'), cutBytes);
  if (replacedCount > 0) end = writeDecimal(writeText(end, ',"replaced":'), replacedCount);
  store<u8>(end, CLOSING_BRACE);
  store<u8>(end, NEWLINE, 1);
  return end + 2;
}

/** Copies the head with the digits of the offset in it, and of the second piece as much as is asked for. */
function writeHead(output: usize, offset: u64, restBytes: usize): usize {
  const digits = copyBlocks(output, idHead, idHeadBytes);
  return copyBlocks(writeDecimal(digits, offset), restHead, restBytes);
}

/**
 * Escapes the bytes from `source` to the newline as the inside of a JSON string, the way `JSON.stringify` does,
 * with U+FFFD for each piece that is not UTF-8, and stops before the first character that would pass `limit`.
 */
function escapeText(source: usize, output: usize, limit: usize): usize {
  const space = i8x16.splat(<i8>SPACE);
  const quote = i8x16.splat(<i8>QUOTE);
  const backslash = i8x16.splat(<i8>BACKSLASH);
  // The top bit, which all bytes of longer characters have, where those must be looked at.
  const suspect = i8x16.splat(<i8>(inputIsUtf8 ? 0 : 0x80));
  replacedCount = 0;
  while (true) {
    const block = v128.load(source);
    v128.store(output, block);
    const special = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.lt_u(block, space), v128.and(block, suspect)),
        v128.or(i8x16.eq(block, quote), i8x16.eq(block, backslash)),
      ),
    );
    const plainBytes: usize = special === 0 ? 16 : ctz(special);
    if (output + plainBytes > limit) {
      source += limit - output;
      output = limit;
      // Back to the first byte of a character, which was copied as all that is before it in this block or the last.
      while ((load<u8>(source) & 0xc0) === 0x80) {
        source -= 1;
        output -= 1;
      }
      textEnd = source;
      return output;
    }
    source += plainBytes;
    output += plainBytes;
    if (special === 0) continue;
    // What is special seldom comes alone, so single characters are taken until a plain one comes.
    let byte: u32 = load<u8>(source);
    while (isSpecial(byte) && byte !== NEWLINE) {
      const end =
        byte < 0x80 ? escapeByte(byte, output, limit) : copyCharacter(source, output, limit);
      if (end === 0) {
        textEnd = source;
        return output;
      }
      output = end;
      source += byte < 0x80 ? 1 : characterBytes;
      byte = load<u8>(source);
    }
    if (byte === NEWLINE) break;
  }
  textEnd = source;
  return output;
}

/** Whether the byte cannot be copied into a JSON string as it is, or belongs to a longer character. */
function isSpecial(byte: u32): bool {
  return byte < SPACE || (byte >= 0x80 && !inputIsUtf8) || byte === QUOTE || byte === BACKSLASH;
}

/** Writes the escape of a quote, a backslash or a control character; 0 when it would pass `limit`. */
function escapeByte(byte: u32, output: usize, limit: usize): usize {
  const letter = shortEscape(byte);
  if (letter !== 0) {
    if (output + 2 > limit) return 0;
    store<u8>(output, BACKSLASH);
    store<u8>(output, letter, 1);
    return output + 2;
  }
  if (output + 6 > limit) return 0;
  const end = writeText(output, '\\u00');
  store<u8>(end, hexDigit(byte >> 4));
  store<u8>(end, hexDigit(byte & 15), 1);
  return end + 2;
}

/** The letter that follows the backslash, or 0 when the character has no short escape. */
function shortEscape(byte: u32): u32 {
  switch (byte) {
    case QUOTE:
    case BACKSLASH:
      return byte;
    case 0x08:
      return 0x62; // b
    case 0x09:
      return 0x74; // t
    case 0x0c:
      return 0x66; // f
    case 0x0d:
      return 0x72; // r
    default:
      return 0;
  }
}

function hexDigit(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

// How many bytes of the input `copyCharacter` has used up.
let characterBytes: usize = 0;

/** Copies one character of several bytes, or writes U+FFFD for what is none; 0 when it would pass `limit`. */
function copyCharacter(source: usize, output: usize, limit: usize): usize {
  const expected = expectedBytes(load<u8>(source));
  characterBytes = goodPrefixBytes(source, expected);
  if (characterBytes === expected) {
    if (output + expected > limit) return 0;
    store<u32>(output, load<u32>(source));
    return output + expected;
  }
  if (output + 3 > limit) return 0;
  store<u32>(output, 0xbdbfef); // U+FFFD: EF BF BD
  replacedCount += 1;
  return output + 3;
}

/** How many bytes the character has that starts with this byte; 0 when none starts with it. */
function expectedBytes(first: u32): usize {
  if (first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/**
 * How many bytes from `source` on begin a character: all of it when it is one, and otherwise the piece that
 * is replaced as a whole, at least one byte. These are the rules of the WHATWG decoder: no surrogates, nothing
 * above U+10FFFF, nothing longer than needed. A newline is never passed.
 */
function goodPrefixBytes(source: usize, expected: usize): usize {
  if (expected === 0) return 1;
  const first: u32 = load<u8>(source);
  const second: u32 = load<u8>(source, 1);
  if (expected === 2) return (second & 0xc0) === 0x80 ? 2 : 1;
  const low: u32 = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high: u32 = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 1;
  let good: usize = 2;
  while (good < expected && (load<u8>(source + good) & 0xc0) === 0x80) good += 1;
  return good;
}

/** The place of the first newline from `source` on. */
function findNewline(source: usize): usize {
  const newline = i8x16.splat(<i8>NEWLINE);
  while (true) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(source), newline));
    if (found !== 0) return source + ctz(found);
    source += 16;
  }
}

/** What JSON takes for white space inside of a line. */
function isSpace(byte: u32): bool {
  return byte === SPACE || byte === 0x09 || byte === 0x0d;
}

/** Copies in blocks, so that up to 15 bytes behind the copy are overwritten. Returns the end of the copy. */
function copyBlocks(output: usize, source: usize, byteCount: usize): usize {
  for (let done: usize = 0; done < byteCount; done += 16) {
    v128.store(output + done, v128.load(source + done));
  }
  return output + byteCount;
}

/** Writes a text of ASCII characters. */
function writeText(output: usize, text: string): usize {
  const length = text.length;
  const units = changetype<usize>(text);
  for (let index = 0; index < length; index += 1) {
    store<u8>(output + index, load<u16>(units + (index << 1)));
  }
  return output + length;
}

/** In groups of nine digits, because dividing 32 bits by a constant is cheap and dividing 64 bits is not. */
function writeDecimal(output: usize, value: u64): usize {
  if (value < BILLION) return writeDigits(output, <u32>value, digitCount(<u32>value));
  const group = writeDecimal(output, value / BILLION);
  return writeDigits(group, <u32>(value % BILLION), 9);
}

/** Of numbers below a billion. */
function digitCount(value: u32): usize {
  let count: usize = 1;
  for (let power: u32 = 10; value >= power; power *= 10) count += 1;
  return count;
}

function writeDigits(output: usize, value: u32, count: usize): usize {
  for (let place = output + count; place > output; value /= 10) {
    place -= 1;
    store<u8>(place, 0x30 + (value % 10));
  }
  return output + count;
}
