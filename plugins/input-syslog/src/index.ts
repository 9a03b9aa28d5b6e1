import { listenOptions, parseListenAddress } from '@chukcha/http-door/listening';
import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from syslog:5514`: takes syslog over TCP, TLS and UDP. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'syslog',
  summary: 'Takes syslog (RFC 5424 and RFC 3164) over TCP, TLS and UDP.',
  options: {
    type: 'object',
    properties: {
      ...listenOptions(5514),
      transport: {
        type: 'string',
        enum: ['both', 'tcp', 'udp'],
        default: 'both',
        description:
          'Whether to listen on TCP, on UDP, or on both with the same port; TLS needs tcp.',
      },
      framing: {
        type: 'string',
        enum: ['auto', 'newline', 'octets'],
        default: 'auto',
        description:
          'How messages follow each other on TCP: ended by newlines, with their length in front, or as each message shows.',
      },
      form: {
        type: 'string',
        enum: ['json', 'raw'],
        default: 'json',
        description: 'Whether a message becomes a JSON object with its parts, or stays as it came.',
      },
      message_bytes_max: {
        type: 'integer',
        minimum: 480,
        default: 64 * 1024,
        description: 'The longest message as it comes, in bytes; longer ones are cut and counted.',
      },
      in_flight_bytes_max: {
        type: 'integer',
        minimum: 64 * 1024,
        default: 16 * 1024 * 1024,
        description:
          'How many bytes may wait for the bus, in bytes; beyond it TCP is not read, and what comes by UDP is dropped and counted.',
      },
    },
    additionalProperties: false,
  },
  parseAddress: (rest) => parseListenAddress(rest, 'syslog', 5514),
  load: () => import('./syslog-input.js'),
};
