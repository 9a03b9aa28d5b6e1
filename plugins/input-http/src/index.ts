import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';
import { parseListenAddress } from './listen-address.js';

/** `--from http:8088`: accepts lines over HTTP, and answers once the bus has accepted them. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'http',
  summary: 'Accepts lines over HTTP: POST / or POST /<category>.',
  options: {
    type: 'object',
    properties: {
      host: {
        type: 'string',
        default: '127.0.0.1',
        description: 'The address to listen on. 0.0.0.0 or :: takes requests from other machines.',
      },
      port: {
        type: 'integer',
        minimum: 0,
        maximum: 65_535,
        default: 8088,
        description: 'The port to listen on; 0 takes any free one.',
      },
      in_flight_bytes_max: {
        type: 'integer',
        minimum: 1024,
        default: 64 * 1024 * 1024,
        description:
          'How many bytes of bodies may wait for the bus, in bytes; beyond it requests are answered with 429.',
      },
    },
    additionalProperties: false,
  },
  parseAddress: parseListenAddress,
  load: () => import('./http-input.js'),
};
