import type { OptionSchema } from '@chukcha/plugin-api';
import { listenOptions } from './listen-options.js';

const MIB = 1024 * 1024;

/** The options of every HTTP input. */
export function doorOptions(port: number): Readonly<Record<string, OptionSchema>> {
  return {
    ...listenOptions(port),
    tokens: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      writeOnly: true,
      description:
        'Secrets, each of which lets a client in, as a bearer token. Without tokens, tokens_file and users everybody may send.',
    },
    tokens_file: {
      type: 'string',
      description:
        'A file with more tokens, one in a line; empty lines and lines that begin with # are left out.',
    },
    users: {
      type: 'array',
      items: { type: 'string', pattern: '^[^:]+:.' },
      default: [],
      writeOnly: true,
      description:
        'Who may send by name and password (basic authentication), each as name:password.',
    },
    body_bytes_max: {
      type: 'integer',
      minimum: 1024,
      default: 32 * MIB,
      description:
        'The largest body of a request after it was unpacked, in bytes; what has to be one batch is also limited by the bus.',
    },
    in_flight_bytes_max: {
      type: 'integer',
      minimum: 1024,
      default: 128 * MIB,
      description:
        'How many bytes of requests may wait for the bus, in bytes; beyond it requests are answered with 429.',
    },
    answer_ms_max: {
      type: 'integer',
      minimum: 1,
      default: 50_000,
      description:
        'How long a request waits for the bus before it is answered with 503 or 504, in milliseconds.',
    },
  };
}
