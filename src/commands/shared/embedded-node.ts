import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../client/client.js';
import { type Logger, quietLogger } from '../../common/logger.js';
import { resolveNodeOptions } from '../../node/node-options.js';
import { startNode } from '../../node/start-node.js';
import { defaultStateDirectory, openPipelineState, type PipelineState } from './pipeline-state.js';

export interface EmbeddedNodeOptions {
  /** Where node and state are kept; without it a temporary directory with `once`, else the user's state directory. */
  readonly directory: string | undefined;
  readonly once: boolean;
  readonly category: string;
  readonly parts: readonly string[];
  readonly log: Logger;
}

export interface EmbeddedNode {
  readonly client: Client;
  readonly state: PipelineState;
}

/** What passes through here is soon gone again, and the disk is often a small one for temporary files. */
const embeddedReserve = '32 MiB';

/** Runs with a node of its own, on a free port that only this machine reaches, and stops it afterwards. */
export async function withEmbeddedNode(
  options: EmbeddedNodeOptions,
  use: (node: EmbeddedNode) => Promise<void>,
): Promise<void> {
  const { category, once, parts } = options;
  const temporary = options.directory === undefined && once;
  const directory = temporary
    ? await mkdtemp(join(tmpdir(), 'chukcha-pipe-'))
    : (options.directory ?? defaultStateDirectory({ verb: 'pipe', category, parts }));
  try {
    const state = await openPipelineState(join(directory, 'state'));
    try {
      const nodeOptions = resolveNodeOptions({
        data: join(directory, 'data'),
        listen: '127.0.0.1:0',
        'disk-reserve': embeddedReserve,
      });
      // What a node tells at its start and end is of no interest inside another command.
      const node = await startNode(nodeOptions, { log: quietLogger(options.log) });
      const client = new Client({ server: node.url });
      try {
        await use({ client, state });
      } finally {
        client.close();
        await node.close();
      }
    } finally {
      await state.close();
    }
  } finally {
    if (temporary) await rm(directory, { recursive: true, force: true });
  }
}
