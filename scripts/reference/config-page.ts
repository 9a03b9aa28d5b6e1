import { environmentName } from '../../src/commands/shared/flags.js';
import { runFileSchema } from '../../src/commands/shared/run-file-schema.js';
import { quantityForms } from '../../src/common/quantity.js';
import { nodeOptionsSchema } from '../../src/node/node-options-schema.js';
import { shipOptionsSchema, sinkOptionsSchema } from '../../src/pipeline/pipeline-schemas.js';
import { optionType } from '../../src/plugin-host/describe-options.js';
import { shownDefault, splitDefault } from './commands-page.js';
import { code, escapeText, page, table } from './markdown.js';

type Schemas = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface ObjectSchema {
  readonly properties: Schemas;
  readonly required?: readonly string[];
}

/** The keys of the files that `--config` and `chukcha run` read. */
export function configPage(): string {
  const { nodes, ships, sinks, ...top } = runFileSchema.properties;
  return page('Configuration files', [
    'A file for `--config` of `serve`, `ship` and `sink` is YAML with the keys below at its top. Each of them is a flag of the ' +
      'same name and an environment variable too, and these go before the file.',
    `Where the type is ${code('bytes')}: ${quantityForms.bytes}. Where it is ${code('duration')}: ${quantityForms.duration}.`,
    '## A node: `serve`',
    schemaTable(nodeOptionsSchema),
    '## A shipper: `ship`',
    schemaTable(shipOptionsSchema),
    '## A sink: `sink`',
    schemaTable(sinkOptionsSchema),
    '## A file for `run`',
    'Several nodes, ships and sinks, each by a name. [Pipelines](../pipelines.md) has examples, and what references to the ' +
      'environment and to files look like; `chukcha run --schema` prints the JSON Schema for editors.',
    table(
      ['key', 'type', 'default', 'meaning'],
      [
        ...Object.entries(top).map(([name, schema]) => {
          const { text, fallback = '' } = splitDefault(schema.description);
          return [code(name), optionType(schema), escapeText(fallback), escapeText(text)];
        }),
        ...Object.entries({ nodes, ships, sinks }).map(([name, { description }]) => [
          code(name),
          'entries by name',
          '',
          escapeText(String(description)),
        ]),
      ],
    ),
    ...Object.entries({
      nodes: [nodes, nodeOptionsSchema, 'serve'],
      ships: [ships, shipOptionsSchema, 'ship'],
      sinks: [sinks, sinkOptionsSchema, 'sink'],
    } as const).flatMap(([name, [entry, base, command]]) => entryParts(name, entry, base, command)),
  ]);
}

function schemaTable({ properties, required = [] }: ObjectSchema): string {
  return table(
    ['key', 'type', 'default', 'environment', 'meaning'],
    Object.entries(properties).map(([name, schema]) => {
      const { text, fallback } = splitDefault(String(schema['description']));
      const { form } = schema as { readonly form?: string };
      return [
        code(name),
        [optionType(schema), ...(required.includes(name) ? ['required'] : [])].join('; '),
        escapeText(fallback ?? shownDefault(schema['default'])),
        code(environmentName(name)),
        escapeText(form === undefined || text.includes(form) ? text : `${text} (${form})`),
      ];
    }),
  );
}

/** What an entry of a file for `run` has beyond the keys of the command. */
function entryParts(name: string, entry: unknown, base: ObjectSchema, command: string): string[] {
  const { properties } = (entry as { readonly additionalProperties: ObjectSchema })
    .additionalProperties;
  const added = Object.entries(properties).filter(([key]) => !(key in base.properties));
  const intro = `### Under ${code(name)}`;
  if (added.length === 0) return [intro, `The keys of [${code(command)}](#${anchorOf(command)}).`];
  return [
    intro,
    `The keys of [${code(command)}](#${anchorOf(command)}), and:`,
    table(
      ['key', 'type', 'meaning'],
      added.map(([key, schema]) => [
        code(key),
        optionType(schema),
        escapeText(String(schema['description'])),
      ]),
    ),
  ];
}

function anchorOf(command: string): string {
  return { serve: 'a-node-serve', ship: 'a-shipper-ship', sink: 'a-sink-sink' }[command] ?? '';
}
