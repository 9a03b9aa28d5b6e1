import { doorOptions, parseListenAddress } from '@chukcha/http-door/listening';
import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from otlp:4318`: takes logs of OpenTelemetry over HTTP, as JSON. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'otlp',
  summary: 'Takes logs of OpenTelemetry over HTTP, as JSON.',
  options: { type: 'object', properties: doorOptions(4318), additionalProperties: false },
  parseAddress: (rest) => parseListenAddress(rest, 'otlp', 4318),
  load: () => import('./otlp-input.js'),
};
