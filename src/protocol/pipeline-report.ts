import { ChukchaError, errorMessage } from './chukcha-error.js';

export const pipelineKinds = ['ship', 'sink'] as const;

export type PipelineKind = (typeof pipelineKinds)[number];

/**
 * How a pipeline stands:
 * - `starting`: it waits for its node, or opens its plugin
 * - `running`: what it did last worked, or it has nothing to do
 * - `standing by`: another reader drains the category for the group
 * - `retrying`: something fails that may pass by itself
 * - `stalled`: it stands still until a person mends something; it tries again all the same
 * - `waiting`: it has ended with a failure and is started again after a while
 */
export const pipelineStates = [
  'starting',
  'running',
  'standing by',
  'retrying',
  'stalled',
  'waiting',
] as const;

export type PipelineState = (typeof pipelineStates)[number];

/** What a failure asks for: `transient` passes by itself, `operator` needs a person, `data` is about single messages. */
export const failureClasses = ['transient', 'operator', 'data'] as const;

export type FailureClass = (typeof failureClasses)[number];

/** What a pipeline tells of itself. Sizes are in bytes; what nobody knows is `null`. */
export interface PipelineReport {
  /** The machine that it runs on. */
  readonly host: string;
  /** The plugin at its other end, such as `file` or `clickhouse`. */
  readonly plugin: string;
  /** The group that a sink reads for; `null` for a ship. */
  readonly group: string | null;
  readonly state: PipelineState;
  /** Accepted by the bus, or delivered, over the last minute. */
  readonly bytesPerSecond: number | null;
  /** For a sink what it has still to deliver, for a ship what is not accepted yet: what was read, and what its input knows of. */
  readonly backlogBytes: number | null;
  /** Until the backlog is gone, at the pace of the last minute; `null` also when it does not shrink. */
  readonly secondsLeft: number | null;
  /** What failed last, also when it works again; `null` when nothing has. */
  readonly lastError: string | null;
  readonly lastErrorClass: FailureClass | null;
  /** Since the bus or the target has taken something last; `null` when it has not since the start. */
  readonly secondsSinceSuccess: number | null;
  /** Since the start of the pipeline. */
  readonly bytes: number;
  readonly messages: number;
  readonly retries: number;
  readonly deadLetters: number;
  /** What was sent again and was there already. */
  readonly duplicates: number;
}

/** A pipeline as the node that it reports to shows it. */
export interface PipelineStatus extends PipelineReport {
  readonly name: string;
  readonly kind: PipelineKind;
  readonly category: string;
  readonly reportedSecondsAgo: number;
}

/** How often a pipeline reports, and how long a report holds: three that are missed, and a second. */
export const pipelineReportMs = 3_000;
export const pipelineReportHoldsMs = 3 * pipelineReportMs + 1_000;

/** The largest report, in bytes: the longest texts in UTF-8 take 2,700, the rest 700. */
export const pipelineReportBytesMax = 4_096;

/** The longest error in a report, in characters. */
export const pipelineErrorLengthMax = 500;

const nameLengthMax = 128;
const namePattern = /^[A-Za-z0-9_.-]{1,128}$/;
const wordLengthMax = 128;

/** Characters that move a cursor, hide text or turn its direction around. */
const unshownCharacters =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/u;

/** Returns the name of a pipeline, or throws `invalid_name`. */
export function checkPipelineName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new ChukchaError(
    'invalid_name',
    `pipeline name ${JSON.stringify(name.slice(0, 40))} is not valid: expected 1 to ${nameLengthMax} of the characters A-Z, a-z, 0-9, _, . and -.`,
    { fields: { kind: 'pipeline' } },
  );
}

/** Makes a name of a text: what a name cannot have becomes `-`. */
export function toPipelineName(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').slice(0, nameLengthMax) || 'pipeline';
}

/** Makes a text one line that a report may have: what cannot be shown becomes a blank. */
export function toReportText(text: string, lengthMax = pipelineErrorLengthMax): string {
  const shown = text
    .replaceAll(new RegExp(unshownCharacters, 'gu'), ' ')
    .replaceAll(/ {2,}/g, ' ')
    .trim();
  if (shown.length <= lengthMax) return shown;
  // Half of a character outside of the basic plane is none.
  return `${shown.slice(0, lengthMax - 3).replace(/[\ud800-\udbff]$/, '')}...`;
}

/**
 * Reads a report. Fields that this version does not know are left out, so that a pipeline may be newer than its node.
 * Throws `invalid_request` for what is not a report, with the field and what was expected.
 */
export function parsePipelineReport(text: string): PipelineReport {
  const fields = parseObject(text);
  const read = new FieldReader(fields);
  return {
    host: read.text('host', wordLengthMax),
    plugin: read.text('plugin', wordLengthMax),
    group: read.textOrNull('group', wordLengthMax),
    state: read.word('state', pipelineStates),
    bytesPerSecond: read.numberOrNull('bytesPerSecond'),
    backlogBytes: read.numberOrNull('backlogBytes'),
    secondsLeft: read.numberOrNull('secondsLeft'),
    lastError: read.textOrNull('lastError', pipelineErrorLengthMax),
    lastErrorClass:
      fields['lastErrorClass'] === null ? null : read.word('lastErrorClass', failureClasses),
    secondsSinceSuccess: read.numberOrNull('secondsSinceSuccess'),
    bytes: read.number('bytes'),
    messages: read.number('messages'),
    retries: read.number('retries'),
    deadLetters: read.number('deadLetters'),
    duplicates: read.number('duplicates'),
  };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidReport(`it is not JSON (${toReportText(errorMessage(cause), 80)})`, cause);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw invalidReport('it is not a JSON object');
}

class FieldReader {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields;
  }

  text(name: string, lengthMax: number): string {
    const value = this.#fields[name];
    const isText = typeof value === 'string' && value.length <= lengthMax;
    if (isText && !unshownCharacters.test(value)) return value;
    throw invalidReport(
      `${name} has to be a text of at most ${lengthMax} characters, none of them a control character`,
    );
  }

  textOrNull(name: string, lengthMax: number): string | null {
    return this.#fields[name] === null ? null : this.text(name, lengthMax);
  }

  number(name: string): number {
    const value = this.#fields[name];
    if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
    throw invalidReport(`${name} has to be a number from 0 to ${Number.MAX_SAFE_INTEGER}`);
  }

  numberOrNull(name: string): number | null {
    return this.#fields[name] === null ? null : this.number(name);
  }

  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const word = words.find((allowed) => allowed === this.#fields[name]);
    if (word !== undefined) return word;
    throw invalidReport(`${name} has to be one of ${words.join(', ')}`);
  }
}

function invalidReport(reason: string, cause?: unknown): ChukchaError {
  return new ChukchaError(
    'invalid_request',
    `The report of a pipeline is not one: ${reason}; nothing of it is shown.`,
    { cause },
  );
}
