/**
 * The one table of what can go wrong between a client and a node. A code is API and stays; the texts
 * are not. `retryable` tells a client that the same request may succeed later.
 */
export interface ErrorMeaning {
  readonly status: number;
  readonly retryable: boolean;
  readonly meaning: string;
}

export const errorCodes = {
  invalid_request: {
    status: 400,
    retryable: false,
    meaning:
      'The request is not HTTP as it should be, or a parameter is missing or has a value that is not allowed.',
  },
  invalid_name: {
    status: 400,
    retryable: false,
    meaning: 'The name of a category, chunk, group, node, pipeline or producer is not valid.',
  },
  batch_empty: { status: 400, retryable: false, meaning: 'The body of a write has no message.' },
  batch_unterminated: {
    status: 400,
    retryable: false,
    meaning: 'The last message of a batch does not end with a newline. Nothing was stored.',
  },
  batch_too_large: {
    status: 413,
    retryable: false,
    meaning: 'A batch is larger than the limit of the node. Nothing was stored.',
  },
  message_too_large: {
    status: 413,
    retryable: false,
    meaning: 'A message is larger than 1 MiB with its newline. Nothing was stored.',
  },
  unsupported_encoding: {
    status: 415,
    retryable: false,
    meaning: 'The body has a Content-Encoding that the node does not take.',
  },
  invalid_encoding: {
    status: 400,
    retryable: false,
    meaning: 'The body is not what its Content-Encoding says. Nothing was stored.',
  },
  too_many_bytes: {
    status: 429,
    retryable: true,
    meaning: 'The node holds as many bytes of bodies as it may. Nothing was stored.',
  },
  too_many_pipelines: {
    status: 429,
    retryable: true,
    meaning: 'As many pipelines report to the node as it keeps in mind. The report was not taken.',
  },
  too_many_categories: {
    status: 429,
    retryable: true,
    meaning: 'The node has as many categories as it takes from clients. Nothing was stored.',
  },
  too_many_groups: {
    status: 429,
    retryable: true,
    meaning: 'The category has as many groups as it may. Nothing was registered or acknowledged.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    meaning: 'The request took too long to arrive. Nothing was stored.',
  },
  head_too_large: {
    status: 431,
    retryable: false,
    meaning: 'The head of the request is larger than 16 KiB.',
  },
  invalid_frame: {
    status: 400,
    retryable: false,
    meaning: 'A frame of a stream is not as the protocol says. The stream ends.',
  },
  upgrade_required: {
    status: 426,
    retryable: false,
    meaning: 'The path is that of a stream, and the request does not ask for one.',
  },
  unauthorized: {
    status: 401,
    retryable: false,
    meaning: 'The request has no token that the node accepts.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    meaning: 'The token has not the right that the call needs; the message names it.',
  },
  not_found: { status: 404, retryable: false, meaning: 'The node has no such path.' },
  method_not_allowed: {
    status: 405,
    retryable: false,
    meaning: 'The path exists, but not for this method.',
  },
  chunk_not_found: {
    status: 404,
    retryable: true,
    meaning: 'The node does not have this chunk: not yet, or no longer.',
  },
  chunk_open: {
    status: 409,
    retryable: true,
    meaning: 'The chunk may still grow, so it cannot be acknowledged yet.',
  },
  ack_size_too_small: {
    status: 409,
    retryable: false,
    meaning: 'The chunk is longer than the size that was acknowledged. Nothing was deleted.',
  },
  offset_out_of_range: {
    status: 416,
    retryable: false,
    meaning: 'The offset lies beyond the end of the chunk.',
  },
  sequence_too_old: {
    status: 409,
    retryable: false,
    meaning:
      'Whether the producer has sent this batch before is not known any more. Nothing was stored.',
  },
  sequence_reused: {
    status: 409,
    retryable: false,
    meaning: 'The producer has sent another batch with this sequence before. Nothing was stored.',
  },
  too_few_replicas: {
    status: 503,
    retryable: true,
    meaning: 'Fewer peers are connected than min_sync_replicas asks for. Nothing was stored.',
  },
  coordination_unavailable: {
    status: 503,
    retryable: true,
    meaning:
      'What the nodes of the cluster have to agree on cannot be asked or changed now, because etcd cannot be reached. Writes, reads and acknowledgements go on.',
  },
  not_replicated: {
    status: 504,
    retryable: true,
    meaning:
      'The batch was stored, but not confirmed by as many peers as min_sync_replicas asks for in time. Sent again with the same stamp it is not stored twice.',
  },
  membership_refused: {
    status: 409,
    retryable: false,
    meaning: 'The cluster does not take the node or the change of a node; the message says why.',
  },
  draining: {
    status: 503,
    retryable: true,
    meaning:
      'The node is stopping: it takes no more writes and holds no more calls. Nothing was stored.',
  },
  disk_full: {
    status: 507,
    retryable: true,
    meaning: 'The disk has no room for the batch. Nothing was stored.',
  },
  storage_failed: {
    status: 503,
    retryable: true,
    meaning:
      'The disk refused to work as expected; the message says whether the batch was stored. After a failed sync the node takes no more writes.',
  },
  internal: { status: 500, retryable: true, meaning: 'A fault of the node itself.' },

  // These are found by a client and never sent by a node.
  server_unreachable: {
    status: 0,
    retryable: true,
    meaning:
      'The connection could not be opened or broke; whether a write was stored is not known.',
  },
  timeout: {
    status: 0,
    retryable: true,
    meaning: 'The node did not answer in time; whether a write was stored is not known.',
  },
  invalid_response: {
    status: 0,
    retryable: false,
    meaning: 'What answered does not speak the protocol of a chukcha node.',
  },

  cluster_changed: {
    status: 0,
    retryable: false,
    meaning: 'The position of a reader belongs to another cluster or data directory.',
  },

  // These are found on this machine, by a command or by a node that starts.
  directory_in_use: {
    status: 0,
    retryable: false,
    meaning: 'Another process holds the directory.',
  },
  directory_invalid: {
    status: 0,
    retryable: false,
    meaning: 'A directory or a file in it is not what it should be.',
  },
  listen_failed: { status: 0, retryable: false, meaning: 'The address cannot be listened on.' },
  invalid_option: {
    status: 0,
    retryable: false,
    meaning: 'An option has a value that is not allowed.',
  },
  plugin_not_found: { status: 0, retryable: false, meaning: 'No plugin has this name.' },
  plugin_invalid: {
    status: 0,
    retryable: false,
    meaning: 'A package brings no plugin that works with this version.',
  },
  plugin_install_failed: {
    status: 0,
    retryable: true,
    meaning: 'A package could not be fetched or taken away by npm.',
  },
  input_failed: { status: 0, retryable: false, meaning: 'An input could not be opened or read.' },
  output_failed: { status: 0, retryable: false, meaning: 'An output refused messages for good.' },
  not_accepted: {
    status: 0,
    retryable: true,
    meaning:
      'What was read was not accepted, or not delivered, within the time that a stop may take.',
  },
  aborted: { status: 0, retryable: false, meaning: 'The caller gave up.' },
} as const satisfies Record<string, ErrorMeaning>;

export type ErrorCode = keyof typeof errorCodes;

/** Tells whether a text from the wire is a code of the table. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(errorCodes, text);
}
