// @ts-check
// Says what this package has. It is loaded at every start of the command line, so it imports nothing heavy.
import { apiVersion } from '@chukcha/plugin-api';

/** @type {import('@chukcha/plugin-api').InputDescriptor} */
export const plugin = {
  apiVersion,
  kind: 'input',
  name: '__name__',
  summary: 'Reads the lines of one file.',
  options: {
    type: 'object',
    additionalProperties: false,
    required: ['path'],
    properties: {
      path: { type: 'string', minLength: 1, description: 'File to read.' },
      poll_interval_ms: {
        type: 'integer',
        minimum: 10,
        default: 1000,
        description: 'How often the file is looked at for more lines, in milliseconds.',
      },
    },
  },
  // `--from __name__:app.log` is `--from __name__ --set path=app.log`.
  parseAddress: (rest) => ({ path: rest }),
  load: () => import('./input.js'),
};

export default async function listPlugins() {
  return [plugin];
}
