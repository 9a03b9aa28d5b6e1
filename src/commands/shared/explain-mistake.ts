import type { Command } from '@oclif/core';
import { closest } from '../../common/closest.js';

/** What is read of a command's class. */
export interface MistakenCommand {
  readonly id: string;
  readonly flags: Readonly<
    Record<string, { readonly description?: string; readonly char?: string }>
  >;
  readonly args: Readonly<Record<string, { readonly description?: string }>>;
}

/** An error of oclif's parser; which fields are there depends on its class. */
interface ParserError extends Error {
  readonly flags?: readonly string[];
  readonly args?: readonly (string | { readonly name: string; readonly description?: string })[];
}

/**
 * What oclif's parser found wrong with the words of a command, as a sentence that names the nearest word that is right;
 * `undefined` for errors of other kinds. The parser's errors are told apart by the names of their classes, which are
 * its interface as much as their texts are.
 *
 * @param commandIds all commands there are, with colons between their words
 */
export function explainMistake(
  error: Error,
  command: MistakenCommand,
  commandIds: readonly string[],
): string | undefined {
  const help = `\`chukcha ${command.id.replaceAll(':', ' ')} --help\` shows what there is.`;
  const { flags = [], args = [] } = error as ParserError;
  switch (error.constructor.name) {
    case 'NonExistentFlagsError':
      return `${flags.map((flag) => unknownFlag(flag, command)).join(' ')} ${help}`;
    case 'UnexpectedArgsError':
      return `${unexpectedArgs(args.map(String), command, commandIds)} ${help}`;
    case 'RequiredArgsError':
      return `${args.map((arg) => missingArg(arg)).join(' ')} ${help}`;
    case 'ArgInvalidOptionError':
    case 'FlagInvalidOptionError':
      return invalidOption(error.message);
    case 'FailedFlagValidationError':
      return `${failedFlags(error.message, command)} ${help}`;
    case 'CLIParseError':
    case 'CLIError':
      return invalidValue(error.message, help);
    default:
      return undefined;
  }
}

/** The sentence about words that are no command. What stands behind a command is part of the id that oclif gives. */
export function unknownCommand(id: string, commandIds: readonly string[]): string {
  const words = (text: string): string => text.replaceAll(':', ' ');
  const prefixes = id.split(':').map((_, index, parts) => parts.slice(0, parts.length - index));
  const command = prefixes
    .map((parts) => parts.join(':'))
    .find((each) => commandIds.includes(each));
  for (const parts of prefixes) {
    const meant = closest(parts.join(':'), commandIds);
    if (meant !== undefined && meant !== command) {
      return `There is no command ${words(id)}: did you mean ${words(meant)}? \`chukcha --help\` lists what there is.`;
    }
  }
  if (command === undefined) {
    return `There is no command ${words(id)}. \`chukcha --help\` lists what there is.`;
  }
  const rest = words(id.slice(command.length + 1));
  return `There is something too much: ${rest}. \`chukcha ${words(command)} --help\` shows what there is.`;
}

function unknownFlag(flag: string, { flags }: MistakenCommand): string {
  const names = [...Object.keys(flags), 'help'].map((name) => `--${name}`);
  const given = flag.split('=')[0] ?? flag;
  const meant = closest(given, names) ?? names.find((name) => name.startsWith(given));
  return `There is no flag ${flag}${meant === undefined ? '.' : `: did you mean ${meant}?`}`;
}

function unexpectedArgs(
  given: readonly string[],
  { id, args }: MistakenCommand,
  commandIds: readonly string[],
): string {
  const meant = closest(`${id}:${given[0]}`, commandIds);
  const hint =
    meant === undefined || meant === id ? '' : ` Did you mean ${meant.replaceAll(':', ' ')}?`;
  const count = Object.keys(args).length;
  const taken =
    count === 0 ? 'takes no arguments' : `takes ${Object.keys(args).join(', ')} and no more`;
  return `There is something too much: ${given.join(' ')}. The command ${taken}.${hint}`;
}

function missingArg(
  arg: string | { readonly name: string; readonly description?: string },
): string {
  if (typeof arg === 'string') return `${arg} is missing.`;
  return `${arg.name.toUpperCase()} is missing: ${arg.description ?? 'give it a value'}.`;
}

function invalidOption(message: string): string | undefined {
  const [, flag, value = '', options = ''] =
    /^Expected (?:(--[^= ]+)=)?(.*) to be one of: (.*)$/m.exec(message) ?? [];
  if (options === '') return undefined;
  const meant = closest(value, options.split(', '));
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
  return `${flag === undefined ? '' : `${flag} `}${JSON.stringify(value)} is not valid: expected one of ${options}.${hint}`;
}

/** `Parsing --lines \n\tExpected an integer but received: x`, or a flag at the end that has no value. */
function invalidValue(message: string, help: string): string | undefined {
  const sentence = message.split('\nSee more help')[0]?.trim() ?? '';
  const [, flag, problem] = /^Parsing (--\S+)\s+(.*)$/s.exec(sentence) ?? [];
  if (flag !== undefined) return `${flag} is not valid: ${problem?.replace(/^E/, 'e')}. ${help}`;
  return /^Flag --\S+ expects /.test(sentence) ? `${sentence}. ${help}` : undefined;
}

function failedFlags(message: string, { flags }: MistakenCommand): string {
  return message
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('See more help'))
    .map((line) => {
      const name = /^Missing required flag (\S+)$/.exec(line)?.[1];
      if (name === undefined) return `${line.replace(/\.$/, '')}.`;
      return `Flag --${name} is missing: ${flags[name]?.description ?? 'give it a value'}.`;
    })
    .join(' ');
}

/** The parts of a command's class that an explanation needs. */
export function mistakenCommand(command: Command.Class): MistakenCommand {
  return { id: command.id, flags: command.flags, args: command.args };
}
