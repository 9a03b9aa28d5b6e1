import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';
import { parsePathList } from './path-list.js';

/** `--from file:/var/log/*.log`: follows files. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'file',
  summary: 'Follows files by path or glob, also over rotation, and remembers how far it came.',
  options: {
    type: 'object',
    properties: {
      paths: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        minItems: 1,
        description:
          'Files to follow: paths or globs with *, ?, **, [abc] and {a,b}. Relative ones start at the working directory.',
      },
      exclude: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        default: [],
        description:
          'Globs of files and directories to leave out. One without a slash is matched with names alone.',
      },
      read_from: {
        type: 'string',
        enum: ['beginning', 'end'],
        default: 'beginning',
        description:
          'Where to start in a file that is there at the start and was never read before.',
      },
      poll_interval_ms: {
        type: 'integer',
        minimum: 10,
        maximum: 3_600_000,
        default: 1000,
        description:
          'How often files are looked at when the system reports no change, in milliseconds.',
      },
      block_bytes: {
        type: 'integer',
        minimum: 1024,
        default: 1024 * 1024,
        description: 'How much of a file is read at a time, and the size of a batch, in bytes.',
      },
    },
    required: ['paths'],
    additionalProperties: false,
  },
  parseAddress: (rest) => ({ paths: parsePathList(rest) }),
  load: () => import('./file-input.js'),
};
