import type { JsonValue } from '@chukcha/plugin-api';
import type { FramingOptions } from './framing-options.js';
import type { Fingerprint } from './identity.js';
import type { TextEncoding } from './text-encoding.js';

/** What is needed to make a batch once more: at most 4 KiB as JSON. */
export interface BatchRange {
  /** The generation. */
  readonly id: string;
  /** In bytes of the source. */
  readonly from: number;
  readonly to: number;
  /** How many bytes of messages the generation gave before. */
  readonly given: number;
  /** How many bytes of messages the batch has. */
  readonly bytes: number;
  /** Of the bytes of the source before `to`: whether they are those that were read. */
  readonly marker: Fingerprint;
  /** True for a single line that was cut. */
  readonly isCut: boolean;
  readonly framing: FramingOptions;
}

/** What a range is for the host: the framing is left out where it is the usual one. */
export function formatRange(range: BatchRange): JsonValue {
  const { marker, framing, isCut } = range;
  const { encoding, multilineStart, multilineContinuation, separator, linesMax } = framing;
  const isPlain =
    encoding === 'utf-8' && multilineStart === undefined && multilineContinuation === undefined;
  return {
    id: range.id,
    from: range.from,
    to: range.to,
    given: range.given,
    bytes: range.bytes,
    marker: [marker.bytes, marker.crc32],
    limit: framing.messageBytesMax,
    ...(isCut ? { cut: true } : {}),
    ...(isPlain
      ? {}
      : {
          encoding,
          separator,
          lines: linesMax,
          ...(multilineStart === undefined ? {} : { start: multilineStart }),
          ...(multilineContinuation === undefined ? {} : { continuation: multilineContinuation }),
        }),
  };
}

/** A range as JSON. */
interface FormattedRange {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly given: number;
  readonly bytes: number;
  readonly limit: number;
  readonly marker: readonly [bytes: number, crc32: number];
  readonly cut?: boolean;
  readonly encoding?: TextEncoding;
  readonly separator?: string;
  readonly lines?: number;
  readonly start?: string;
  readonly continuation?: string;
}

/** Reads a range that an earlier run gave; `undefined` for what is none. */
export function parseRange(value: JsonValue): BatchRange | undefined {
  if (!isRange(value)) return undefined;
  const { id, from, to, given, bytes, marker, start, continuation } = value;
  return {
    ...{ id, from, to, given, bytes },
    marker: { bytes: marker[0], crc32: marker[1] },
    isCut: value.cut === true,
    framing: {
      encoding: value.encoding ?? 'utf-8',
      separator: value.separator ?? '',
      linesMax: value.lines ?? 1,
      messageBytesMax: value.limit,
      ...(start === undefined ? {} : { multilineStart: start }),
      ...(continuation === undefined ? {} : { multilineContinuation: continuation }),
    },
  };
}

function isRange(value: unknown): value is FormattedRange {
  const { id, from, to, given, bytes, limit, marker } = (value ?? {}) as Partial<FormattedRange>;
  const counts: unknown[] = [from, to, given, bytes, limit, ...(marker ?? [])];
  return typeof id === 'string' && counts.length === 7 && counts.every(isCount);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
