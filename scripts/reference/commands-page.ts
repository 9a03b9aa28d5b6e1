import type { Command } from '@oclif/core';
import { exitCodes } from '../../src/commands/shared/exit-codes.js';
import { code, codeBlock, escapeText, page, table } from './markdown.js';

/** A command of oclif, with what only its class says of the numbers that its flags take. */
export interface DescribedCommand {
  readonly command: Command.Loadable;
  readonly flagRanges: ReadonlyMap<string, { readonly min?: number; readonly max?: number }>;
}

type Flag = Command.Flag.Cached;

/** Every command with its arguments, flags, examples and exit codes. */
export function commandsPage(commands: readonly DescribedCommand[]): string {
  const exits = Object.values(exitCodes);
  return page('Commands', [
    'A flag goes before its environment variable, and that before a file that `--config` names. Every command has `--help`.',
    table(
      ['command', 'what it does'],
      commands.map(({ command }) => {
        const words = wordsOf(command.id);
        const link = `[${code(words)}](#chukcha-${words.replaceAll(' ', '-')})`;
        return [link, escapeText(command.summary ?? '')];
      }),
    ),
    '## Exit codes',
    table(
      ['code', 'meaning'],
      exits.map(({ code: number, meaning }) => [String(number), escapeText(meaning)]),
    ),
    ...commands.flatMap(describeCommand),
  ]);
}

function describeCommand({ command, flagRanges }: DescribedCommand): string[] {
  const args = Object.values(command.args);
  const flags = Object.values(command.flags).filter(({ hidden }) => hidden !== true);
  const aliases = command.aliases.map((alias) => code(`chukcha ${wordsOf(alias)}`));
  return [
    `## chukcha ${wordsOf(command.id)}`,
    escapeText(command.summary ?? ''),
    codeBlock('', [usageOf(command, flags)]),
    escapeText(command.description ?? ''),
    aliases.length === 0 ? '' : `Also ${aliases.join(', ')}.`,
    command.pluginName === 'chukcha'
      ? ''
      : `Comes with the package ${code(command.pluginName ?? '')}.`,
    args.length === 0
      ? ''
      : table(
          ['argument', 'type', 'default', 'meaning'],
          args.map((arg) => {
            const { text, fallback } = splitDefault(arg.description ?? '');
            return [
              code(arg.name.toUpperCase()),
              [
                arg.options === undefined ? 'text' : `one of ${arg.options.join(', ')}`,
                ...(arg.required === true ? ['required'] : []),
              ].join('; '),
              escapeText(fallback ?? shownDefault(arg.default)),
              escapeText(text),
            ];
          }),
        ),
    flags.length === 0
      ? ''
      : table(
          ['flag', 'type', 'default', 'environment', 'meaning'],
          flags.map((flag) => describeFlag(flag, flagRanges.get(flag.name) ?? {})),
        ),
    codeBlock(
      'sh',
      (command.examples ?? []).map((example) =>
        String(example).replaceAll('<%= config.bin %>', 'chukcha'),
      ),
    ),
  ];
}

function usageOf(command: Command.Loadable, flags: readonly Flag[]): string {
  const args = Object.values(command.args).map(({ name, required }) =>
    required === true ? name.toUpperCase() : `[${name.toUpperCase()}]`,
  );
  const needed = flags.filter((flag) => flag.required === true);
  const words = [
    `chukcha ${wordsOf(command.id)}`,
    ...args,
    ...needed.map((flag) => (flag.type === 'option' ? `--${flag.name} VALUE` : `--${flag.name}`)),
    ...(flags.length > needed.length ? ['[FLAGS]'] : []),
  ];
  return words.join(' ');
}

function describeFlag(
  flag: Flag,
  { min, max }: { readonly min?: number; readonly max?: number },
): string[] {
  const { text, fallback } = splitDefault(flag.summary ?? flag.description ?? '');
  const isNumber = min !== undefined || max !== undefined;
  const range = [
    ...(min === undefined ? [] : [`from ${min}`]),
    ...(max === undefined ? [] : [`to ${max}`]),
  ];
  const taken =
    flag.type === 'boolean'
      ? 'switch'
      : flag.options !== undefined
        ? `one of ${flag.options.join(', ')}`
        : isNumber
          ? ['integer', ...range].join(' ')
          : 'text';
  const limits = [
    ...(flag.required === true ? ['required'] : []),
    ...(flag.type === 'option' && flag.multiple ? ['several times'] : []),
    ...namesOf('only with', flag.dependsOn),
    ...namesOf('not with', flag.exclusive),
  ];
  const name = flag.char === undefined ? `--${flag.name}` : `-${flag.char}, --${flag.name}`;
  return [
    code(name),
    [taken, ...limits].join('; '),
    escapeText(fallback ?? shownDefault(flag.default)),
    flag.env === undefined ? '' : code(flag.env),
    escapeText(text),
  ];
}

function namesOf(relation: string, names: readonly string[] | undefined): string[] {
  if (names === undefined || names.length === 0) return [];
  return [`${relation} ${names.map((name) => code(`--${name}`)).join(', ')}`];
}

/** Descriptions end with the default where the parser does not know it. */
export function splitDefault(description: string): {
  readonly text: string;
  readonly fallback: string | undefined;
} {
  const [, text = description, fallback] = /^(.*) \(default: (.*)\)$/s.exec(description) ?? [];
  return { text, fallback };
}

/** A default for people; what is empty is none. */
export function shownDefault(value: unknown): string {
  if (value === undefined || value === false) return '';
  if (Array.isArray(value))
    return value.length === 0 ? '' : value.map((each) => code(String(each))).join(', ');
  return code(String(value));
}

function wordsOf(id: string): string {
  return id.replaceAll(':', ' ');
}
