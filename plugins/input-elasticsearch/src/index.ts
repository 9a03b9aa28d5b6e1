import { doorOptions, parseListenAddress } from '@chukcha/http-door/listening';
import { apiVersion, type InputDescriptor } from '@chukcha/plugin-api';

/** `--from elasticsearch:9200`: takes what programs send to Elasticsearch. */
export const plugin: InputDescriptor = {
  apiVersion,
  kind: 'input',
  name: 'elasticsearch',
  summary: 'Takes documents that programs send to Elasticsearch, by _bulk.',
  options: {
    type: 'object',
    properties: {
      ...doorOptions(9200),
      category_from: {
        type: 'string',
        enum: ['none', 'index', 'index_without_date'],
        default: 'none',
        description:
          'What names the category: nothing, the index, or the index without a date at its end; what a category cannot have becomes _.',
      },
      keep_action: {
        type: 'boolean',
        default: false,
        description:
          'Whether a message has the index and the id of its document as _index and _id in front of its other members.',
      },
      version: {
        type: 'string',
        pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$',
        default: '8.19.2',
        description:
          'The version of Elasticsearch that is answered; Beats want at least their own, unless allow_older_versions is set there.',
      },
    },
    additionalProperties: false,
  },
  parseAddress: (rest) => parseListenAddress(rest, 'elasticsearch', 9200),
  load: () => import('./elasticsearch-input.js'),
};
