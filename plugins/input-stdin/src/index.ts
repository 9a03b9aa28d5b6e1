import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from stdin`: reads lines until the end of standard input. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'stdin',
  summary: 'Reads lines from standard input until its end.',
  options: { type: 'object', properties: {}, additionalProperties: false },
  load: () => import('./stdin-input.js'),
};
