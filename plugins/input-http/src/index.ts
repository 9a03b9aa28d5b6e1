import { doorOptions, parseListenAddress } from '@chukcha/http-door/listening';
import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from http:8088`: accepts lines over HTTP, and answers once the bus has accepted them. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'http',
  summary: 'Accepts lines over HTTP: POST / or POST /<category>.',
  options: { type: 'object', properties: doorOptions(8088), additionalProperties: false },
  parseAddress: (rest) => parseListenAddress(rest, 'http', 8088),
  load: () => import('./http-input.js'),
};
