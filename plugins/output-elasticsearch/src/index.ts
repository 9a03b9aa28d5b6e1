import { apiVersion, type OptionSchema, type OutputDescriptor } from '@chukcha/plugin-api';
import { parseTargetAddress } from './parse-target-address.js';

const mebibyte = 1024 * 1024;

/** Both servers take the same options; only the names of their environment variables differ. */
function createOptions(variables: string): Readonly<Record<string, OptionSchema>> {
  return {
    hosts: {
      type: 'string',
      description: `Servers, separated by commas, as in https://search1:9200,https://search2:9200; ${variables}_URL when it is left out.`,
    },
    index: {
      type: 'string',
      description:
        'The index, alias or data stream; {category} and, from the time of the event, {yyyy}, {yyyy.MM} or {yyyy.MM.dd} are filled in. The name of the category when it is left out.',
    },
    time_field: {
      type: 'string',
      default: '@timestamp',
      description: 'The field with the time of the event, for an index by date.',
    },
    id: {
      type: 'string',
      enum: ['coordinates', 'auto'],
      default: 'coordinates',
      description:
        'coordinates: the id of a document comes from the place of its message in the bus, so a repetition is recognised. auto: the server gives ids, which is faster, and a repetition is stored twice.',
    },
    id_field: {
      type: 'string',
      description: 'The field that has the id of the document, instead of id.',
    },
    action: {
      type: 'string',
      enum: ['create', 'index'],
      default: 'create',
      description:
        'create: a document that is there already stays as it is. index: it is replaced; not for data streams.',
    },
    format: {
      type: 'string',
      enum: ['auto', 'json', 'text'],
      default: 'auto',
      description:
        'json: messages are JSON objects, others are refused. text: every message becomes the text of text_field. auto: text only for those that are no objects.',
    },
    text_field: {
      type: 'string',
      minLength: 1,
      default: 'message',
      description:
        'The field for messages that are text; bytes that are not UTF-8 come into <text_field>_base64.',
    },
    username: {
      type: 'string',
      description: `User for basic authentication; ${variables}_USERNAME when it is left out.`,
    },
    password: {
      type: 'string',
      writeOnly: true,
      description: `Password of that user; ${variables}_PASSWORD when it is left out.`,
    },
    api_key: {
      type: 'string',
      writeOnly: true,
      description: `API key, encoded as the server gave it; ${variables}_API_KEY when it is left out.`,
    },
    tls: {
      type: 'boolean',
      default: false,
      description: 'Speaks TLS also with hosts that are written without https://.',
    },
    ca_file: {
      type: 'string',
      description: `PEM file with the certificates that servers are checked against; ${variables}_CA_FILE when it is left out.`,
    },
    client_certificate_file: {
      type: 'string',
      description: 'PEM file with the certificate that is shown to servers.',
    },
    client_key_file: {
      type: 'string',
      description: 'PEM file with the private key of that certificate.',
    },
    gzip: {
      type: 'boolean',
      default: false,
      description: 'Compresses requests: worth it where the network is slower than about 100 MB/s.',
    },
    body_bytes_max: {
      type: 'integer',
      minimum: 64 * 1024,
      maximum: 512 * mebibyte,
      default: 8 * mebibyte,
      description:
        'The most bytes of a request before compression, in bytes; a larger message goes by itself.',
    },
    in_flight_max: {
      type: 'integer',
      minimum: 1,
      maximum: 64,
      default: 2,
      description: 'How many batches are under way at a time.',
    },
    request_timeout_ms: {
      type: 'integer',
      minimum: 100,
      default: 60_000,
      description: 'How long a server may take to answer, in milliseconds.',
    },
  };
}

function createPlugin(name: string, product: string): OutputDescriptor {
  return {
    apiVersion,
    kind: 'output',
    name,
    summary: `Stores messages as documents in ${product}.`,
    options: {
      type: 'object',
      properties: createOptions(name.toUpperCase()),
      additionalProperties: false,
    },
    parseAddress: parseTargetAddress,
    load: async () => {
      const { createModule } = await import('./elasticsearch-output.js');
      return createModule(name.toUpperCase());
    },
  };
}

/** `--to elasticsearch://host:9200/index` and `--to opensearch://host:9200/index`. */
export const plugins: readonly OutputDescriptor[] = [
  createPlugin('elasticsearch', 'Elasticsearch'),
  createPlugin('opensearch', 'OpenSearch'),
];
