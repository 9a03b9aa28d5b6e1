// @ts-check
// Says what this package has. It is loaded at every start of the command line, so it imports nothing heavy.
import { apiVersion } from '@chukcha/plugin-api';

/** @type {import('@chukcha/plugin-api').OutputDescriptor} */
export const plugin = {
  apiVersion,
  kind: 'output',
  name: '__name__',
  summary: 'Appends messages to one file.',
  options: {
    type: 'object',
    additionalProperties: false,
    required: ['path'],
    properties: {
      path: { type: 'string', minLength: 1, description: 'File to append to.' },
    },
  },
  // `--to __name__:all.log` is `--to __name__ --set path=all.log`.
  parseAddress: (rest) => ({ path: rest }),
  load: () => import('./output.js'),
};

export default async function listPlugins() {
  return [plugin];
}
