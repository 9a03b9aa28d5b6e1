/** The parts of a message, in the order in which they stand in its line. What it does not have is left out. */
export interface SyslogParts {
  readonly facility?: string;
  readonly severity?: string;
  readonly priority?: number;
  /** As the sender wrote it: that of RFC 3164 has neither year nor zone. */
  readonly timestamp?: string;
  readonly host?: string;
  readonly app?: string;
  readonly process_id?: string;
  readonly message_id?: string;
  readonly structured_data?: Readonly<Record<string, unknown>>;
  readonly message: string;
  /** True when the message is in neither form, and so is the whole of what came behind the priority. */
  readonly unparsed?: true;
}

const facilities = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
];

const severities = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

const priorityMax = 191;

const priorityPattern = /^<(\d{1,3})>/;
const headPattern = /^1 (\S+) (\S+) (\S+) (\S+) (\S+) /;
const elementPattern = /\[([^\s=\]"]+)((?: [^\s=\]"]+="(?:[^"\\\]]|\\.)*")*)\]/sy;
const parameterPattern = / ([^\s=\]"]+)="((?:[^"\\\]]|\\.)*)"/gs;
const oldHeadPattern =
  /^([A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T\S+) (\S+) ([^\s:[]{1,128})(?:\[([^\]\s]{1,128})\])?: ?/;

/** Reads a message of RFC 5424 or RFC 3164. One of neither form loses nothing: it is all in `message`. */
export function parseSyslog(text: string): SyslogParts {
  const priority = priorityPattern.exec(text);
  if (priority === null || Number(priority[1]) > priorityMax) {
    return { message: text, unparsed: true };
  }
  const rest = text.slice(priority[0].length);
  const level = describePriority(Number(priority[1]));
  return (
    parseNew(rest, level) ?? parseOld(rest, level) ?? { ...level, message: rest, unparsed: true }
  );
}

function describePriority(priority: number): Partial<SyslogParts> {
  const facility = facilities[priority >> 3];
  const severity = severities[priority & 7];
  return {
    ...(facility === undefined ? {} : { facility }),
    ...(severity === undefined ? {} : { severity }),
    priority,
  };
}

/** RFC 5424. */
function parseNew(text: string, level: Partial<SyslogParts>): SyslogParts | undefined {
  const head = headPattern.exec(text);
  if (head === null) return undefined;
  const data = parseStructuredData(text, head[0].length);
  if (data === undefined) return undefined;
  const [timestamp, host, app, processId, messageId] = head.slice(1).map(withoutNil);
  return {
    ...level,
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(host === undefined ? {} : { host }),
    ...(app === undefined ? {} : { app }),
    ...(processId === undefined ? {} : { process_id: processId }),
    ...(messageId === undefined ? {} : { message_id: messageId }),
    ...(data.value === undefined ? {} : { structured_data: data.value }),
    message: text
      .slice(data.end)
      .replace(/^ /, '')
      .replace(/^\uFEFF/, ''),
  };
}

function withoutNil(field: string): string | undefined {
  return field === '-' ? undefined : field;
}

function parseStructuredData(
  text: string,
  start: number,
): { value: Record<string, unknown> | undefined; end: number } | undefined {
  if (text[start] === '-')
    return isEnd(text, start + 1) ? { value: undefined, end: start + 1 } : undefined;
  const elements: [string, unknown][] = [];
  let end = start;
  for (;;) {
    elementPattern.lastIndex = end;
    const element = elementPattern.exec(text);
    if (element === null) break;
    elements.push([element[1] ?? '', parseParameters(element[2] ?? '')]);
    end = elementPattern.lastIndex;
  }
  if (elements.length === 0 || !isEnd(text, end)) return undefined;
  return { value: Object.fromEntries(elements), end };
}

function isEnd(text: string, at: number): boolean {
  return at === text.length || text[at] === ' ';
}

/** A parameter that comes several times has a list of values. */
function parseParameters(text: string): Record<string, string | string[]> {
  const values = new Map<string, string[]>();
  for (const [, name = '', value = ''] of text.matchAll(parameterPattern)) {
    const list = values.get(name) ?? [];
    values.set(name, list);
    list.push(value.replace(/\\(["\\\]])/g, '$1'));
  }
  return Object.fromEntries(
    [...values].map(([name, list]) => [name, list.length === 1 ? (list[0] ?? '') : list]),
  );
}

/** RFC 3164, and the same with a time of ISO 8601, as rsyslog writes it. */
function parseOld(text: string, level: Partial<SyslogParts>): SyslogParts | undefined {
  const head = oldHeadPattern.exec(text);
  if (head === null) return undefined;
  const [all, timestamp = '', host = '', app = '', processId] = head;
  return {
    ...level,
    timestamp,
    host,
    app,
    ...(processId === undefined ? {} : { process_id: processId }),
    message: text.slice(all.length),
  };
}
