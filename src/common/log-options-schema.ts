import { logLevels } from './logger.js';

const logFormats = ['text', 'json'] as const;

/**
 * How a command logs: the one source of the flags, variables and keys of files. There is no level that says nothing:
 * what a warning is about is lost when nobody is told.
 */
export const logOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    'log-level': {
      type: 'string',
      enum: logLevels,
      default: 'info',
      description:
        'least that is logged: trace, debug, info, warn or error; SIGUSR2 turns debug on, and off again',
    },
    'log-format': {
      type: 'string',
      enum: logFormats,
      default: 'text',
      description:
        'form of all that goes to standard error: text for people, or json, an object per line',
    },
  },
} as const;
