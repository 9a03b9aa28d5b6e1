import { formatBytes, formatDuration } from '../common/quantity.js';
import {
  batchBytesMaxDefault,
  chunkBytesMaxDefault,
  flushIntervalMsDefault,
  inFlightBytesMaxDefault,
  nodeLostAfterMsDefault,
  replicationTimeoutMsDefault,
  rotateIntervalMsDefault,
  scrubIntervalMsDefault,
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
      form: 'HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080',
      default: '127.0.0.1:8080',
      description: 'address to listen on, as HOST:PORT; port 0 takes any free one',
    },
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
      form: '1 to 64 of the characters A-Z, a-z, 0-9, _ and -',
      description:
        'name of the node, unique in its cluster (default: the one in the directory, or the host name)',
    },
    etcd: {
      type: 'string',
      pattern: '^https?://[^,\\s]+(,https?://[^,\\s]+)*$',
      description:
        'addresses of etcd, as http://HOST:PORT or https://HOST:PORT, separated by commas: makes the node a member of a cluster (default: it stands alone)',
    },
    cluster: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
      default: 'chukcha',
      description: 'name of the cluster; several may use one etcd',
    },
    'etcd-user': {
      type: 'string',
      minLength: 1,
      description: 'user of etcd, which may read and write all below /chukcha/ and --cluster',
    },
    'etcd-password-file': {
      type: 'string',
      minLength: 1,
      description: 'file with the password of --etcd-user; read again when it changes',
    },
    'etcd-ca': {
      type: 'string',
      minLength: 1,
      description:
        'file with the authority that has signed the certificates of etcd, PEM (default: those of the system)',
    },
    'etcd-cert': {
      type: 'string',
      minLength: 1,
      description: 'file with the certificate to show etcd, PEM; read again when it changes',
    },
    'etcd-key': { type: 'string', minLength: 1, description: 'file with its private key, PEM' },
    advertise: {
      type: 'string',
      pattern: '^https?://(\\[[0-9A-Fa-f:.]+\\]|[^:/\\s]+):[0-9]{1,5}$',
      description:
        'address at which the other nodes reach this one, as http://HOST:PORT (default: the one that is listened on)',
    },
    'tls-cert': {
      type: 'string',
      minLength: 1,
      description:
        'file with the certificate of the node, PEM, with those between it and the authority behind it; read again when it changes and on SIGHUP',
    },
    'tls-key': { type: 'string', minLength: 1, description: 'file with its private key, PEM' },
    'tls-client-ca': {
      type: 'string',
      minLength: 1,
      description:
        'file with the authority that has signed the certificates of clients and nodes, PEM: nobody connects without one',
    },
    tokens: {
      type: 'string',
      minLength: 1,
      description:
        'file with the tokens that are accepted and their rights, made with `chukcha token create`; read again when it changes',
    },
    'cluster-secret-file': {
      type: 'string',
      minLength: 1,
      description:
        'file with what the nodes of the cluster show each other; a member that has --tokens needs it',
    },
    'insecure-listen': {
      type: 'boolean',
      default: false,
      description:
        'listen on an address that other machines reach although there is no TLS, or no token is asked for',
    },
    'replication-timeout': {
      type: 'string',
      quantity: 'duration',
      minimum: 1,
      default: formatDuration(replicationTimeoutMsDefault),
      description:
        'how long a write with min_sync_replicas waits for them before it is answered 504',
    },
    'node-lost-after': {
      type: 'string',
      quantity: 'duration',
      minimum: 1_000,
      default: formatDuration(nodeLostAfterMsDefault),
      description:
        'after what time without a word to any other node a node counts as lost, and its last chunks are finished without it',
    },
    'max-chunk-size': {
      type: 'string',
      quantity: 'bytes',
      minimum: 1,
      default: formatBytes(chunkBytesMaxDefault),
      description: 'size from which on a chunk is sealed before the next write',
    },
    'rotate-interval': {
      type: 'string',
      quantity: 'duration',
      minimum: 1,
      default: formatDuration(rotateIntervalMsDefault),
      description: 'how long a chunk stays open at most before it is sealed',
    },
    'flush-interval': {
      type: 'string',
      quantity: 'duration',
      minimum: 1,
      default: formatDuration(flushIntervalMsDefault),
      description: 'after what time writes are made durable in the background',
    },
    'max-batch': {
      type: 'string',
      quantity: 'bytes',
      minimum: 1,
      default: formatBytes(batchBytesMaxDefault),
      description: 'largest batch of one write',
    },
    'max-in-flight': {
      type: 'string',
      quantity: 'bytes',
      minimum: 1,
      default: formatBytes(inFlightBytesMaxDefault),
      description:
        'bytes of batches held in memory, over all connections; at least twice --max-batch',
    },
    'disk-reserve': {
      type: 'string',
      default: 'auto',
      description:
        'free space below which writes are refused with 507; auto is the larger of 1 GiB and 5 % of the disk, 0 is none',
    },
    'retain-for': {
      type: 'string',
      description:
        'age from which on messages are given up although nobody acknowledged them, for all categories (7d) or some (logs=7d,audit=365d,*=30d) (default: none)',
    },
    'retain-size': {
      type: 'string',
      description:
        'size of a category from which on its oldest messages are given up, for all (10GiB) or some (logs=10GiB,*=50GiB) (default: none)',
    },
    'scrub-interval': {
      type: 'string',
      quantity: 'duration',
      default: formatDuration(scrubIntervalMsDefault),
      description: 'time between checks of all chunks against their checksums; 0 is never',
    },
  },
} as const;
