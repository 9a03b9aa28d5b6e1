import {
  batchBytesMaxDefault,
  chunkBytesMaxDefault,
  inFlightBytesMaxDefault,
} from '../protocol/limits.js';

/**
 * The options of a node, the one source of their flags, environment variables, defaults, help and checks.
 * It stands alone so that showing help loads nothing else.
 */
export const nodeOptionsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    data: {
      type: 'string',
      minLength: 1,
      default: './data',
      description: 'directory for everything that the node keeps; made when it does not exist',
    },
    listen: {
      type: 'string',
      pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[^:\\s]+):[0-9]{1,5}$',
      default: '127.0.0.1:8080',
      description: 'address to listen on, as HOST:PORT; port 0 takes any free one',
    },
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
      description:
        'name of the node, unique in its cluster (default: the one in the directory, or the host name)',
    },
    'max-chunk-size': {
      type: 'integer',
      minimum: 1,
      default: chunkBytesMaxDefault,
      description: 'bytes from which on a chunk is sealed before the next write',
    },
    'max-batch': {
      type: 'integer',
      minimum: 1,
      default: batchBytesMaxDefault,
      description: 'largest batch of one write, in bytes',
    },
    'max-in-flight': {
      type: 'integer',
      minimum: 1,
      default: inFlightBytesMaxDefault,
      description:
        'bytes of batches held in memory, over all connections; at least twice --max-batch',
    },
    'flush-interval': {
      type: 'integer',
      minimum: 1,
      default: 1_000,
      description: 'milliseconds after which writes are made durable in the background',
    },
  },
} as const;
