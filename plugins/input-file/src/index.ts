import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';
import { parsePathList } from './path-list.js';
import { textEncodings } from './text-encoding.js';

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
      watch: {
        type: 'boolean',
        default: true,
        description:
          'Whether the system is asked to report changes. Without that they are found within the poll interval.',
      },
      block_bytes: {
        type: 'integer',
        minimum: 1024,
        default: 1024 * 1024,
        description: 'How much of a file is read at a time, and the size of a batch, in bytes.',
      },
      encoding: {
        type: 'string',
        enum: [...textEncodings],
        default: 'utf-8',
        description:
          'How the files are encoded; utf-8 passes bytes on as they are, the others become UTF-8. utf-16 goes by the mark of byte order.',
      },
      partial_line_ms: {
        type: 'integer',
        minimum: 0,
        maximum: 3_600_000,
        default: 0,
        description:
          'After how much quiet a last line without a newline is sent, in milliseconds; 0 waits for its end as long as the file is there.',
      },
      long_line: {
        type: 'string',
        enum: ['cut', 'skip', 'fail'],
        default: 'cut',
        description:
          'What becomes of a line above the limit of a message: cut sends its beginning and says how much is missing, skip leaves it out, fail stops.',
      },
      multiline_start: {
        type: 'string',
        minLength: 1,
        maxLength: 500,
        description:
          'A regular expression: lines that match begin a message, the others go on with the one before.',
      },
      multiline_continuation: {
        type: 'string',
        minLength: 1,
        maxLength: 500,
        description:
          'A regular expression: lines that match go on with the message before, the others begin one.',
      },
      multiline_separator: {
        type: 'string',
        minLength: 1,
        maxLength: 16,
        pattern: '^[^\\n]*$',
        default: '\\n',
        description:
          'What stands between the lines of a message, which cannot have a newline in it; a backslash and an n unless set.',
      },
      multiline_lines_max: {
        type: 'integer',
        minimum: 1,
        maximum: 10_000,
        default: 500,
        description: 'How many lines a message may have; what is more becomes another message.',
      },
      multiline_timeout_ms: {
        type: 'integer',
        minimum: 1,
        maximum: 3_600_000,
        default: 1000,
        description: 'After how much quiet the last message of a file is whole, in milliseconds.',
      },
    },
    required: ['paths'],
    additionalProperties: false,
  },
  parseAddress: (rest) => ({ paths: parsePathList(rest) }),
  load: () => import('./file-input.js'),
};
