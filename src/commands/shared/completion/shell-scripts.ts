import type { CommandWords } from './completion-words.js';

/** Any text as one word of a shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The candidates behind the words of a command. */
function candidates({ next, flags, values }: CommandWords): string[] {
  return [...next.map(({ word }) => word), ...values, ...flags.map(({ name }) => `--${name}`)];
}

/**
 * A function for bash. It takes the words before the cursor that are no flags as the path of a command, as far as there is
 * one, and offers what may stand behind it. Plugin names are ended by no space, because an address follows.
 */
export function writeBash(commands: readonly CommandWords[]): string {
  const paths = commands.map(
    (command) => `    ${quote(command.path)}) words=${quote(candidates(command).join(' '))} ;;`,
  );
  const values = commands.flatMap(({ path, flags }) =>
    flags
      .filter((flag) => flag.values.length > 0)
      .map(
        (flag) =>
          `    ${quote(`${path} --${flag.name}`)}) words=${quote(flag.values.join(' '))} ;;`,
      ),
  );
  const silent = commands.flatMap(({ path, flags }) =>
    flags
      .filter((flag) => flag.takesValue && flag.values.length === 0)
      .map((flag) => quote(`${path} --${flag.name}`)),
  );
  return `# Completion of chukcha for bash. Made by \`chukcha completion bash\`.
_chukcha() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local path='' known='' word words=''
  # bash takes --flag=value for three words.
  if [ "$current" = '=' ]; then current=''
  elif [ "$previous" = '=' ]; then previous="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    known="\${path:+$path }$word"
    case "$known" in
${commands
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      ${quote(path)}) path="$known" ;;`)
  .join('\n')}
    esac
  done
  case "$path $previous" in
${values.join('\n')}
${silent.length === 0 ? '' : `    ${silent.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;\n`}    *) case "$path" in
${paths.join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _chukcha chukcha
`;
}

/** A function for zsh, with descriptions. */
export function writeZsh(commands: readonly CommandWords[]): string {
  const describe = (word: string, text: string): string =>
    quote(`${word.replaceAll(':', '\\:')}:${text}`);
  const cases = commands.map(({ path, next, flags, values, takesPath }) => {
    const lines = [
      ...next.map(({ word, description }) => describe(word, description)),
      ...values.map((value) => describe(value, '')),
      ...flags.map(({ name, description }) => describe(`--${name}`, description)),
    ];
    const files = takesPath ? '; _files' : '';
    return `    ${quote(path)}) found=(${lines.join(' ')})${files} ;;`;
  });
  const valueCases = commands.flatMap(({ path, flags }) =>
    flags.flatMap(({ name, takesValue, values, isAddress }) => {
      if (!takesValue) return [];
      const words = values.map(quote).join(' ');
      const action =
        values.length === 0
          ? '_files'
          : isAddress
            ? `_chukcha_address ${words}`
            : `compadd -- ${words}`;
      return [`    ${quote(`${path} --${name}`)}) ${action}; return ;;`];
    }),
  );
  return `#compdef chukcha
# Completion of chukcha for zsh. Made by \`chukcha completion zsh\`.
# A plugin, or behind its colon a path.
_chukcha_address() {
  if compset -P '*:'; then _files; else compadd -S '' -- "$@"; fi
}
_chukcha() {
  local chosen='' known='' word
  local -a before found
  before=("\${(@)words[2,CURRENT-1]}")
  local previous="\${words[CURRENT-1]}"
  if [[ $PREFIX == --*=* ]]; then
    previous="\${PREFIX%%=*}"
    compset -P '*='
  fi
  for word in $before; do
    [[ $word == -* ]] && continue
    known="\${chosen:+$chosen }$word"
    case "$known" in
${commands
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      ${quote(path)}) chosen="$known" ;;`)
  .join('\n')}
    esac
  done
  case "$chosen $previous" in
${valueCases.join('\n')}
  esac
  case "$chosen" in
${cases.join('\n')}
  esac
  _describe 'chukcha' found
}
if [[ \${funcstack[1]} == _chukcha ]]; then _chukcha "$@"; else compdef _chukcha chukcha; fi
`;
}

/** Rules for fish, with descriptions. */
export function writeFish(commands: readonly CommandWords[]): string {
  const rules = commands.flatMap(({ path, next, flags, values, takesPath }) => {
    const condition = quote(`__chukcha_at ${path}`);
    return [
      ...(takesPath ? [] : [`complete -c chukcha -f -n ${condition}`]),
      ...next.map(
        ({ word, description }) =>
          `complete -c chukcha -f -n ${condition} -a ${quote(word)} -d ${quote(description)}`,
      ),
      ...values.map((value) => `complete -c chukcha -f -n ${condition} -a ${quote(value)}`),
      ...flags.map(({ name, description, takesValue, values: known, isAddress }) => {
        const list = known.join(' ');
        const candidates = quote(isAddress ? `(__chukcha_address ${list})` : list);
        const argument = !takesValue ? '' : known.length === 0 ? ' -rF' : ` -x -a ${candidates}`;
        return `complete -c chukcha -n ${condition} -l ${name}${argument} -d ${quote(description)}`;
      }),
    ];
  });
  const paths = commands.filter(({ path }) => path !== '').map(({ path }) => quote(path));
  return `# Completion of chukcha for fish. Made by \`chukcha completion fish\`.
set -g __chukcha_paths ${paths.join(' ')}
function __chukcha_at
    set -l path
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        set -l known (string join ' ' $path $word)
        contains -- $known $__chukcha_paths; and set path $path $word
    end
    test "$path" = "$argv"
end
# A plugin, or behind its colon a path.
function __chukcha_address
    set -l word (string replace -r -- '^--[a-z-]+=' '' (commandline -ct))
    set -l plugin (string match -r '^[^:]*:' -- $word)
    or begin
        string join \\n $argv
        return
    end
    for path in (__fish_complete_path (string sub -s (math (string length $plugin) + 1) -- $word))
        echo $plugin$path
    end
end
${rules.join('\n')}
`;
}
