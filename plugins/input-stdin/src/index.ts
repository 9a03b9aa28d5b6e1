import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from stdin`: reads lines until the end of standard input. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'stdin',
  summary: 'Reads lines from standard input until its end.',
  options: {
    type: 'object',
    properties: {
      separator: {
        type: 'string',
        enum: ['newline', 'nul'],
        default: 'newline',
        description:
          'What ends a message: a newline, or a byte of value 0, as find -print0 writes it; a newline within a message is then written as \\n.',
      },
    },
    additionalProperties: false,
  },
  load: () => import('./stdin-input.js'),
};
