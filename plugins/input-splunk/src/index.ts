import { doorOptions, parseListenAddress } from '@chukcha/http-door/listening';
import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from splunk:8088`: takes what programs send to the HTTP event collector of Splunk. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'splunk',
  summary: 'Takes events that programs send to the HTTP event collector of Splunk.',
  options: {
    type: 'object',
    properties: {
      ...doorOptions(8088),
      category_from_index: {
        type: 'boolean',
        default: false,
        description:
          'Whether the index of an event names its category; what a category cannot have becomes _.',
      },
    },
    additionalProperties: false,
  },
  parseAddress: (rest) => parseListenAddress(rest, 'splunk', 8088),
  load: () => import('./splunk-input.js'),
};
