import { describeOptions } from '../../src/plugin-host/describe-options.js';
import type { FoundPlugin } from '../../src/plugin-host/plugin-registry.js';
import { shownDefault } from './commands-page.js';
import { code, escapeText, page, table } from './markdown.js';

/** Every built-in plugin with its options. @param addressForms by kind and name, such as `input file` */
export function pluginsPage(
  plugins: readonly FoundPlugin[],
  addressForms: ReadonlyMap<string, readonly string[]>,
): string {
  const ofKind = (kind: 'input' | 'output'): FoundPlugin[] =>
    plugins.filter(({ descriptor }) => descriptor.kind === kind);
  return page('Inputs and outputs', [
    'What comes with chukcha. `chukcha plugins` lists what is installed, with what was added to it, and `chukcha plugins inspect ' +
      'NAME` shows the same as here. An option is given with `--set NAME=VALUE`, by its environment variable, or under `options` in ' +
      'a [file for `run`](config.md#a-file-for-run). What `--set` says goes before the address, and that before the environment. [How to write one](../plugins.md).',
    table(
      ['plugin', 'what it does'],
      plugins.map(({ descriptor: { kind, name, summary } }) => [
        `[${kind} ${code(name)}](#${kind}-${name})`,
        escapeText(summary),
      ]),
    ),
    ...[...ofKind('input'), ...ofKind('output')].flatMap((plugin) =>
      describePlugin(plugin, addressForms),
    ),
  ]);
}

function describePlugin(
  { descriptor, packageName }: FoundPlugin,
  addressForms: ReadonlyMap<string, readonly string[]>,
): string[] {
  const { kind, name, summary } = descriptor;
  const flag = kind === 'input' ? '--from' : '--to';
  const fallback = [`${flag} ${descriptor.parseAddress === undefined ? name : `${name}:ADDRESS`}`];
  const forms = addressForms.get(`${kind} ${name}`) ?? fallback;
  const options = describeOptions(descriptor);
  return [
    `## ${kind} ${code(name)}`,
    `${escapeText(summary)} Package ${code(packageName)}.`,
    `Address: ${forms.map(code).join(' or ')}`,
    options.length === 0
      ? 'It takes no options.'
      : table(
          ['option', 'type', 'default', 'environment', 'meaning'],
          options.map((option) => [
            code(option.name),
            [
              option.type,
              ...(option.required ? ['required'] : []),
              ...(option.secret ? ['secret'] : []),
            ].join('; '),
            option.default === false ? code('false') : shownDefault(option.default),
            code(option.environment),
            escapeText(
              [
                option.description,
                ...(option.examples ?? []).map((each) => `For example ${code(String(each))}.`),
              ].join(' '),
            ),
          ]),
        ),
  ];
}
