import { apiVersion, type OutputDescriptor } from '@chukcha/plugin-api';

/** `--to stdout`: prints messages. */
export const plugin: OutputDescriptor = {
  apiVersion,
  kind: 'output',
  name: 'stdout',
  summary: 'Prints messages to standard output.',
  options: {
    type: 'object',
    properties: {
      format: {
        type: 'string',
        enum: ['raw', 'pretty', 'json'],
        default: 'raw',
        description:
          'How a message is printed. raw: its bytes as they are, with the newline. pretty: for people, time, level and message of JSON lines first. json: an object with category, chunk, offset and message.',
      },
      color: {
        type: 'string',
        enum: ['auto', 'always', 'never'],
        default: 'auto',
        description:
          'Whether pretty has colours. auto: on a terminal, unless NO_COLOR is set or TERM is dumb.',
      },
      coordinates: {
        type: 'boolean',
        default: false,
        description: 'pretty begins each line with the chunk and the offset of the message.',
      },
    },
    additionalProperties: false,
  },
  load: () => import('./stdout-output.js'),
};
