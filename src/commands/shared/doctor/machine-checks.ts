import { readFile } from 'node:fs/promises';
import type { Finding } from './finding.js';

/** What is known of the machine and the terminal; `undefined` where the system does not say. */
export interface MachineFacts {
  readonly nodeVersion: string;
  /** The least version that works, as `20.19`. */
  readonly nodeVersionMin: string;
  readonly openFilesMax: number | undefined;
  readonly inotifyWatchesMax: number | undefined;
  readonly inotifyInstancesMax: number | undefined;
  readonly isTerminal: boolean;
  readonly terminalType: string | undefined;
  /** The value of `LC_ALL`, `LC_CTYPE` or `LANG`, the first that is set. */
  readonly locale: string | undefined;
}

/** A connection takes one, and so does a chunk file; 1,024, the usual limit, is used up by a busy node. */
const openFilesMin = 4_096;

/** A followed directory takes a watch; small machines have 8,192, and editors take a good part of them. */
const inotifyWatchesMin = 8_192;

/** Each shipper takes an instance, and so do desktops and editors of the same user. */
const inotifyInstancesMin = 64;

/** Asks the system; what it does not say is left out. */
export async function readMachineFacts(nodeVersionMin: string): Promise<MachineFacts> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const number = async (path: string): Promise<number | undefined> => {
    const text = await readFile(path, 'utf8').catch(() => '');
    return text === '' ? undefined : Number(text);
  };
  const openFiles = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  const { LC_ALL, LC_CTYPE, LANG, TERM } = process.env;
  return {
    nodeVersion: process.versions.node,
    nodeVersionMin,
    openFilesMax: openFiles === undefined ? undefined : Number(openFiles),
    inotifyWatchesMax: await number('/proc/sys/fs/inotify/max_user_watches'),
    inotifyInstancesMax: await number('/proc/sys/fs/inotify/max_user_instances'),
    isTerminal: process.stdout.isTTY === true,
    terminalType: TERM,
    locale: LC_ALL || LC_CTYPE || LANG,
  };
}

/** What the facts mean for chukcha. */
export function checkMachine(facts: MachineFacts): Finding[] {
  return [
    checkNodeVersion(facts),
    ...atLeast('open files', facts.openFilesMax, openFilesMin, {
      what: 'files and connections that a process may have open',
      fix: 'ulimit -n 65536, or LimitNOFILE=65536 in the unit of the service',
    }),
    ...atLeast('inotify', facts.inotifyWatchesMax, inotifyWatchesMin, {
      what: 'directories and files that a user may watch',
      fix: 'sysctl fs.inotify.max_user_watches=524288',
    }),
    ...atLeast('inotify', facts.inotifyInstancesMax, inotifyInstancesMin, {
      what: 'programs of a user that may watch files',
      fix: 'sysctl fs.inotify.max_user_instances=512',
    }),
    ...checkTerminal(facts),
  ];
}

function checkNodeVersion({ nodeVersion, nodeVersionMin }: MachineFacts): Finding {
  const parts = nodeVersion.split('.').map(Number);
  const [major = 0, minor = 0] = nodeVersionMin.split('.').map(Number);
  const isEnough = (parts[0] ?? 0) > major || (parts[0] === major && (parts[1] ?? 0) >= minor);
  const about = 'Node.js';
  if (isEnough) return { about, result: 'ok', detail: `This is Node.js ${nodeVersion}.` };
  return {
    about,
    result: 'failed',
    detail: `This is Node.js ${nodeVersion}, and chukcha needs ${nodeVersionMin} or later.`,
    fix: `install Node.js ${nodeVersionMin} or later`,
  };
}

function atLeast(
  about: string,
  value: number | undefined,
  least: number,
  { what, fix }: { readonly what: string; readonly fix: string },
): Finding[] {
  if (value === undefined) return [];
  const detail = `The number of ${what} is limited to ${value}.`;
  if (value >= least) return [{ about, result: 'ok', detail }];
  return [{ about, result: 'warning', detail: `${detail} Expected ${least} or more.`, fix }];
}

function checkTerminal({ isTerminal, terminalType, locale }: MachineFacts): Finding[] {
  if (!isTerminal) return [];
  const about = 'terminal';
  if (terminalType === undefined || terminalType === 'dumb') {
    const detail = `TERM is ${terminalType ?? 'not set'}: \`chukcha top\` cannot draw.`;
    return [{ about, result: 'warning', detail, fix: 'export TERM=xterm, or use top --once' }];
  }
  if (!/utf-?8/i.test(locale ?? '')) {
    const detail = `The locale is ${locale ?? 'not set'}: messages that are not ASCII may show as other signs.`;
    return [{ about, result: 'warning', detail, fix: 'export LANG=C.UTF-8' }];
  }
  return [{ about, result: 'ok', detail: `It is ${terminalType} with ${locale}.` }];
}
