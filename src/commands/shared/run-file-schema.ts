import { logOptionsSchema } from '../../common/log-options-schema.js';
import { nodeOptionsSchema } from '../../node/node-options-schema.js';
import { shipOptionsSchema, sinkOptionsSchema } from '../../pipeline/pipeline-schemas.js';

/** A name of a node, a ship or a sink in a file. */
const namePattern = '^[A-Za-z0-9_-]{1,64}$';

/** Options of a plugin, which its own schema checks. */
const pluginOptions = {
  type: 'object',
  description: 'options of the plugin, as `chukcha plugins inspect` shows them',
} as const;

/** How a ship or a sink shows a node who it is. */
const credentials = {
  token: {
    type: 'string',
    description: 'token to show the node, rather as a reference than as itself',
  },
  'token-file': { type: 'string', description: 'file with the token to show the node' },
  ca: {
    type: 'string',
    description: 'file with the authority that has signed its certificate, PEM',
  },
  'client-cert': { type: 'string', description: 'file with the certificate to show the node, PEM' },
  'client-key': { type: 'string', description: 'file with its private key, PEM' },
} as const;

/** Numbers and switches may be written as such; the check of the options takes both. */
function withPlainValues(
  properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, { quantity, form, minimum, ...option }]) => {
      if (quantity !== undefined || option['type'] === 'string') {
        return [name, { ...option, type: ['string', 'number'] }];
      }
      const least = minimum === undefined ? {} : { minimum };
      // A reference to the environment is a text, whatever it stands for.
      return [name, { ...option, ...least, type: [option['type'], 'string'] }];
    }),
  );
}

function entries(
  what: string,
  schema: { readonly properties: object; readonly required?: readonly string[] },
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const properties = schema.properties as Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >;
  return {
    type: 'object',
    description: `${what}, by their names`,
    propertyNames: { pattern: namePattern },
    additionalProperties: {
      type: 'object',
      additionalProperties: false,
      ...(schema.required === undefined ? {} : { required: schema.required }),
      properties: { ...withPlainValues(properties), ...more },
    },
  };
}

/** The JSON Schema (draft 7) of a file for `chukcha run`, for editors and for the check of the file's form. */
export const runFileSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'chukcha pipelines',
  type: 'object',
  additionalProperties: false,
  properties: {
    server: {
      type: 'string',
      description: 'address of the node, or of nodes, for all ships and sinks that name none',
    },
    ...credentials,
    ...logOptionsSchema.properties,
    state: {
      type: 'string',
      description:
        "directory for what the ships and sinks remember (default: one for this file in the user's state directory)",
    },
    nodes: entries('nodes that run in this process', nodeOptionsSchema),
    ships: entries('ships: inputs that are read into the bus', shipOptionsSchema, {
      options: pluginOptions,
      ...credentials,
    }),
    sinks: entries('sinks: categories that are drained into outputs', sinkOptionsSchema, {
      options: pluginOptions,
      ...credentials,
    }),
  },
} as const;
