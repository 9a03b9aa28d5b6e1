import type { Command } from '@oclif/core';
import type { PluginRegistry } from '../../../plugin-host/plugin-registry.js';

/** A flag as shells complete it. */
export interface FlagWords {
  readonly name: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** What the value may be, when that is known. */
  readonly values: readonly string[];
  /** Whether the values are plugins, behind which an address may stand. */
  readonly isAddress: boolean;
}

/** A command, or a topic that has further words behind it. */
export interface CommandWords {
  /** Its words, with spaces between; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  /** The next words behind it. */
  readonly next: readonly { readonly word: string; readonly description: string }[];
  readonly flags: readonly FlagWords[];
  /** What its first argument may be, when that is known. */
  readonly values: readonly string[];
  /** Whether an argument of it is a file or a directory. */
  readonly takesPath: boolean;
}

/** What arguments are called that are files or directories. */
const pathNames: ReadonlySet<string> = new Set(['file', 'directory', 'path', 'package']);

/** How many characters of a description a list of candidates shows; a terminal has 80 columns. */
const descriptionLengthMax = 60;

/** What can be completed: every command with its flags, and the names of plugins where one is expected. By path. */
export function collectWords(
  commands: readonly Command.Loadable[],
  { plugins }: Pick<PluginRegistry, 'plugins'>,
): CommandWords[] {
  const names = (kind: 'input' | 'output'): string[] =>
    plugins.flatMap(({ descriptor }) => (descriptor.kind === kind ? [descriptor.name] : []));
  const known: Readonly<Record<string, readonly string[]>> = {
    from: names('input'),
    to: names('output'),
  };
  const all = [...new Set([...names('input'), ...names('output')])];
  const paths = new Map<string, Command.Loadable | undefined>([['', undefined]]);
  for (const command of commands) {
    const parts = command.id.split(':');
    for (let count = 1; count < parts.length; count += 1) {
      const topic = parts.slice(0, count).join(' ');
      if (!paths.has(topic)) paths.set(topic, undefined);
    }
    paths.set(parts.join(' '), command);
  }
  const sorted = [...paths].sort(([left], [right]) => (left < right ? -1 : 1));
  return sorted.map(([path, command]) => ({
    path,
    description: shorten(command?.summary),
    next: sorted
      .filter(([each]) => each !== '' && each.split(' ').slice(0, -1).join(' ') === path)
      .map(([each, { summary } = { summary: '' } as Command.Loadable]) => ({
        word: each.split(' ').at(-1) ?? '',
        description: shorten(summary),
      })),
    flags: flagWords(command, known),
    values: path === 'plugins inspect' ? all : firstValues(command),
    takesPath: Object.keys(command?.args ?? {}).some((name) => pathNames.has(name)),
  }));
}

function flagWords(
  command: Command.Loadable | undefined,
  known: Readonly<Record<string, readonly string[]>>,
): FlagWords[] {
  const flags = Object.values(command?.flags ?? {}).map((flag): FlagWords => {
    const options = flag.type === 'option' ? (flag.options ?? known[flag.name] ?? []) : [];
    const description = shorten(flag.summary ?? flag.description);
    return {
      name: flag.name,
      description,
      takesValue: flag.type === 'option',
      values: options,
      isAddress: flag.name in known,
    };
  });
  return [
    ...flags,
    {
      name: 'help',
      description: 'show what it does',
      takesValue: false,
      values: [],
      isAddress: false,
    },
  ];
}

function firstValues(command: Command.Loadable | undefined): readonly string[] {
  return Object.values(command?.args ?? {})[0]?.options ?? [];
}

function shorten(text: string | undefined): string {
  const line = (text ?? '').split('\n')[0] ?? '';
  return line.length <= descriptionLengthMax
    ? line
    : `${line.slice(0, descriptionLengthMax - 3)}...`;
}
