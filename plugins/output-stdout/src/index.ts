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
        enum: ['raw'],
        default: 'raw',
        description: 'How a message is printed. raw: its bytes as they are, with the newline.',
      },
    },
    additionalProperties: false,
  },
  load: () => import('./stdout-output.js'),
};
