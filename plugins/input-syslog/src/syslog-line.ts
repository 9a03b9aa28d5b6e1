import { isUtf8 } from 'node:buffer';
import { parseSyslog } from './parse-syslog.js';

const NEWLINE = 0x0a;

/** A message as one line, and whether newlines in it were written as `\n`. */
export interface SyslogLine {
  /** Without its newline. */
  readonly bytes: Buffer;
  readonly isJoined: boolean;
}

/**
 * A JSON object with the parts of a message and the address that it came from. Bytes that are no UTF-8 are read
 * as Latin-1, and the line says so.
 */
export function toJsonLine(frame: Buffer, peer: string, isCut: boolean): SyslogLine {
  const isText = isUtf8(frame);
  // Senders end messages with what their language ends texts with, also where a length says the end.
  const text = frame.toString(isText ? 'utf8' : 'latin1').replace(/[\r\n\0]+$/, '');
  const line = JSON.stringify({
    ...parseSyslog(text),
    peer,
    ...(isText ? {} : { encoding: 'latin1' }),
    ...(isCut ? { cut: true } : {}),
  });
  return { bytes: Buffer.from(line), isJoined: false };
}

/** The bytes of a message as they came; a newline within it becomes `\n`, written with two characters. */
export function toRawLine(frame: Buffer, lineBytesMax: number): SyslogLine & { isCut: boolean } {
  if (!frame.includes(NEWLINE)) return { bytes: frame, isJoined: false, isCut: false };
  const end = frame.at(-1) === NEWLINE ? frame.length - 1 : frame.length;
  const text = frame.toString('latin1', 0, end);
  const joined = Buffer.from(text.replaceAll('\n', '\\n'), 'latin1');
  return {
    bytes: joined.subarray(0, lineBytesMax),
    isJoined: joined.length > end,
    isCut: joined.length > lineBytesMax,
  };
}
