import { Args, Flags } from '@oclif/core';
import type { Client } from '../client/client.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags } from './shared/credential-flags.js';
import { categoryFlag, groupFlag, jsonFlag, serverFlag } from './shared/flags.js';

export default class Ack extends BaseCommand {
  static override summary = 'Acknowledge a chunk for a group by hand.';

  static override description =
    'The group is not given the chunk any more, whether somebody has read it or not, and the chunk is deleted ' +
    'when no other group waits for it. Only a sealed chunk can be acknowledged: `seal` makes one of the open one.';

  static override examples = [
    '<%= config.bin %> ack node1-chunk000000000',
    '<%= config.bin %> ack node1-chunk000000000 --group archive --size 20971520',
  ];

  static override args = {
    chunk: Args.string({ description: 'name of the chunk, as `chunks` shows it', required: true }),
  };

  static override flags = {
    category: categoryFlag,
    group: groupFlag,
    size: Flags.integer({
      description: 'bytes that were processed; less than the chunk has is refused (default: all)',
      min: 0,
    }),
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Ack);
    const { category, group } = flags;
    const { checkCategoryName, checkChunkName, checkGroupName } = await import(
      '../protocol/names.js'
    );
    checkCategoryName(category);
    checkChunkName(args.chunk);
    checkGroupName(group);
    const { withClient } = await import('./shared/with-client.js');
    const size = await withClient(flags, async (client) => {
      // Another node may have less of the chunk than the one that has listed it.
      const { server } = client;
      const size =
        flags.size ?? (await listedSize(client, category, args.chunk, { group, server }));
      await client.ack(category, args.chunk, size, { group, server });
      return size;
    });
    if (flags.json) this.log(JSON.stringify({ category, chunk: args.chunk, group, size }));
    else this.say(`Group ${group} has acknowledged ${args.chunk} of category ${category}.`);
  }
}

async function listedSize(
  client: Client,
  category: string,
  chunkName: string,
  { group, server }: { readonly group: string; readonly server: string },
): Promise<number> {
  const { chunks } = await client.listChunks(category, { group, server });
  const chunk = chunks.find(({ name }) => name === chunkName);
  if (chunk !== undefined) return chunk.size;
  throw new ChukchaError(
    'chunk_not_found',
    `Category ${category} has no chunk ${chunkName} for group ${group}: it was acknowledged already, or never there; \`chukcha chunks\` shows what there is.`,
  );
}
