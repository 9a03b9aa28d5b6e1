// @ts-check
import { apiVersion } from '@chukcha/plugin-api';

/** @type {import('@chukcha/plugin-api').OutputDescriptor} */
export const plugin = {
  apiVersion,
  kind: 'output',
  name: 'daily-files',
  summary: 'Appends messages to a file for each category and day.',
  options: {
    type: 'object',
    additionalProperties: false,
    required: ['directory'],
    properties: {
      directory: {
        type: 'string',
        minLength: 1,
        description: 'Directory of the files; it is made when it is not there.',
        examples: ['/var/archive'],
      },
      sync: {
        type: 'boolean',
        default: true,
        description: 'Whether messages are on disk (fdatasync) before they count as delivered.',
      },
    },
  },
  parseAddress: (rest) => ({ directory: rest }),
  load: () => import('./output.js'),
};

export default async function listPlugins() {
  return [plugin];
}
