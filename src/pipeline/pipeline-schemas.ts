import { categoryNameDefault, groupNameDefault, serverUrlDefault } from '../protocol/http-api.js';

/**
 * The options of shippers and sinks: the one source of their flags, environment variables, keys in files, defaults, help
 * and checks. It stands alone so that showing help loads nothing else.
 */

const server = {
  type: 'string',
  minLength: 1,
  default: serverUrlDefault,
  description:
    'address of a node, or of several nodes of a cluster with commas between: when one fails, the next is asked',
} as const;

const category = {
  type: 'string',
  minLength: 1,
  default: categoryNameDefault,
  description: 'category of the messages',
} as const;

const retryFor = {
  type: 'integer',
  minimum: 0,
  description:
    'seconds to go on trying while the other side is away (default: at the start none, later for ever; 60 with --once)',
} as const;

export const shipOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['from'],
  properties: {
    from: {
      type: 'string',
      minLength: 1,
      description: 'input to read, as PLUGIN or PLUGIN:ADDRESS',
    },
    category,
    format: {
      type: 'string',
      enum: ['raw', 'json', 'envelope'],
      default: 'raw',
      description:
        'form of the messages: raw (as they are), json (objects, with id, host and source put in), envelope (any line in a JSON object)',
    },
    server,
    'sync-each-write': {
      type: 'boolean',
      default: false,
      description: 'have every write on disk (fdatasync) before it counts as accepted',
    },
    'min-sync-replicas': {
      type: 'integer',
      minimum: 0,
      description:
        'have every write on so many other nodes before it counts as accepted (default: none)',
    },
    'retry-for': retryFor,
  },
} as const;

export const sinkOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['to'],
  properties: {
    to: {
      type: 'string',
      minLength: 1,
      description: 'output to write to, as PLUGIN or PLUGIN:ADDRESS',
    },
    category,
    group: {
      type: 'string',
      minLength: 1,
      default: groupNameDefault,
      description: 'consumer group; each group gets every message',
    },
    server,
    'batch-bytes': {
      type: 'string',
      quantity: 'bytes',
      minimum: 1,
      description: 'most bytes of one delivery (default: as the output advises)',
    },
    'batch-messages': {
      type: 'integer',
      minimum: 1,
      description: 'most messages of one delivery (default: as the output advises)',
    },
    'batch-age': {
      type: 'string',
      quantity: 'duration',
      description: 'how long messages wait for company (default: as the output advises)',
    },
    'in-flight': {
      type: 'integer',
      minimum: 1,
      maximum: 64,
      description:
        'how many deliveries may be under way at a time (default: as the output advises)',
    },
    'bad-messages': {
      type: 'string',
      enum: ['dead-letter', 'stop'],
      description:
        'what becomes of messages that the target will never take (default: dead-letter; stop for a category of dead letters)',
    },
    'retry-for': retryFor,
  },
} as const;
