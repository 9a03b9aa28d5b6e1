import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

interface CommandFlags {
  readonly [name: string]: { readonly type: 'option' | 'boolean' };
}

const commandsDirectory = join(import.meta.dirname, '..', '..', 'src', 'commands');

/** What is wrong with the words of a `chukcha` command line, in sentences; none when it could run. */
export async function findCommandFaults(words: readonly string[]): Promise<string[]> {
  const line = `chukcha ${words.join(' ')}`;
  const found = findCommand(words);
  if (found === undefined) return [`There is no command for: ${line}`];
  const flags = await flagsOf(found.path);
  const faults: string[] = [];
  const rest = words.slice(found.wordCount);
  for (let index = 0; index < rest.length; index += 1) {
    const [name, value] = splitFlag(rest[index] ?? '');
    if (name === undefined) continue;
    const flag = flags[name];
    if (flag === undefined) faults.push(`--${name} is no flag of: ${line}`);
    else if (flag.type === 'option' && value === undefined) {
      index += 1;
      if (rest[index] === undefined) faults.push(`--${name} has no value in: ${line}`);
    }
  }
  return faults;
}

/** The options of a line, by the names of their flags, as a file of options would have them. */
export function optionsOf(words: readonly string[]): Record<string, string> {
  const options: Record<string, string> = {};
  for (const [index, word] of words.entries()) {
    const [name, value] = splitFlag(word);
    if (name === undefined) continue;
    const next = words[index + 1] ?? '--';
    // A word that follows is the value, unless it is a flag itself.
    options[name] = value ?? (next.startsWith('--') ? 'true' : next);
  }
  return options;
}

function splitFlag(word: string): [name: string | undefined, value: string | undefined] {
  const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(word);
  return [match?.[1], match?.[2]];
}

/** The longest path of words that is a command; `index.js` is the command of its folder. */
function findCommand(words: readonly string[]): { path: string; wordCount: number } | undefined {
  const files = readdirSync(commandsDirectory, { recursive: true, encoding: 'utf8' });
  for (const wordCount of [2, 1]) {
    const name = words.slice(0, wordCount).join('/');
    const path = [`${name}.js`, `${name}/index.js`].find((file) => files.includes(file));
    if (path !== undefined) return { path, wordCount };
  }
  return undefined;
}

async function flagsOf(path: string): Promise<CommandFlags> {
  const url = pathToFileURL(join(commandsDirectory, path)).href;
  const module = (await import(url)) as { default: { flags?: CommandFlags } };
  return module.default.flags ?? {};
}
