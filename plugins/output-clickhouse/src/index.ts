import { apiVersion, type OutputDescriptor } from '@chukcha/plugin-api';
import { parseAddress } from './parse-address.js';

/** `--to clickhouse://host:8123/database/table` or `--to clickhouse:./directory`. */
export const plugin: OutputDescriptor = {
  apiVersion,
  kind: 'output',
  name: 'clickhouse',
  summary: 'Inserts messages into a table of ClickHouse, on a server or embedded in a directory.',
  options: {
    type: 'object',
    properties: {
      host: {
        type: 'string',
        description:
          'The server. Without it and without a directory, CLICKHOUSE_URL is used, else 127.0.0.1.',
      },
      port: {
        type: 'integer',
        minimum: 1,
        maximum: 65_535,
        description: 'The port for HTTP; 8123, or 8443 with tls, when it is left out.',
      },
      tls: { type: 'boolean', description: 'Speaks HTTPS with the server.' },
      ca_file: {
        type: 'string',
        description: 'A file with certificates (PEM) that the server is trusted by.',
      },
      user: {
        type: 'string',
        description: 'Who inserts; CLICKHOUSE_USER, else default, when it is left out.',
      },
      password: {
        type: 'string',
        writeOnly: true,
        description: 'The password of the user; CLICKHOUSE_PASSWORD when it is left out.',
      },
      directory: {
        type: 'string',
        description:
          'Inserts into an engine on this machine that keeps its data here; needs the package chdb. One process at a time has a directory.',
      },
      database: {
        type: 'string',
        minLength: 1,
        description: 'The database; CLICKHOUSE_DATABASE, else default, when it is left out.',
      },
      table: {
        type: 'string',
        minLength: 1,
        description: 'The table; named like the category when it is left out.',
      },
      format: {
        type: 'string',
        enum: ['auto', 'json', 'text'],
        default: 'auto',
        description:
          'What a message is. json: an object whose keys are columns. text: the value of one column. auto: text when only that column of the table takes values, else json.',
      },
      column: {
        type: 'string',
        minLength: 1,
        default: 'message',
        description: 'The column that text goes into.',
      },
      create_table: {
        type: 'boolean',
        description:
          'Creates a missing table by what the first messages look like. Always so with a directory, unless it is false.',
      },
      id_column: {
        type: 'string',
        minLength: 1,
        default: 'id',
        description: 'The key of messages that a created table is ordered and replaced by.',
      },
      unknown_fields: {
        type: 'string',
        enum: ['stop', 'dead_letter', 'skip'],
        default: 'stop',
        description:
          'What becomes of a key that the table has no column for. stop: nothing more is inserted until there is one. dead_letter: such messages are set aside. skip: the key is left out.',
      },
      compression: {
        type: 'string',
        enum: ['auto', 'gzip', 'none'],
        default: 'auto',
        description: 'How bodies travel. auto: gzip, but not to this machine itself.',
      },
      async_insert: {
        type: 'boolean',
        default: false,
        description: 'Lets the server gather small inserts of many writers, and waits for them.',
      },
      deduplicate: {
        type: 'boolean',
        default: true,
        description:
          'Names each insert, so that a server of 22.2 or later stores a repeated one once. false is for older ones.',
      },
      settings: {
        type: 'array',
        items: { type: 'string', pattern: '^[a-zA-Z_][a-zA-Z0-9_]*=', form: 'NAME=VALUE' },
        default: [],
        description: 'More settings of ClickHouse for the inserts, each as NAME=VALUE.',
      },
      timeout_seconds: {
        type: 'integer',
        minimum: 1,
        maximum: 3600,
        default: 60,
        description: 'How long an answer may take, in seconds.',
      },
    },
    additionalProperties: false,
  },
  parseAddress,
  load: () => import('./clickhouse-output.js'),
};
