import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';
import { changeNode } from '../shared/change-node.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { serverFlag } from '../shared/flags.js';

export default class NodeDrain extends BaseCommand {
  static override summary =
    'Empty a node: it takes no more writes, and hands everything to the others.';

  static override description =
    'Its chunks are sealed, and clients that know other nodes go on there. When `node ls` shows it as drained, all that ' +
    'it has is at every other node, and it can be stopped or removed without a loss. --undo takes writes again.';

  static override examples = [
    '<%= config.bin %> node drain node3 --server http://127.0.0.1:8081',
    '<%= config.bin %> node drain node3 --undo',
  ];

  static override args = {
    node: Args.string({ description: 'name of the node', required: true }),
  };

  static override flags = {
    undo: Flags.boolean({ description: 'have the node take writes again' }),
    server: serverFlag,
    ...credentialFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(NodeDrain);
    await changeNode(flags, args.node, flags.undo ? 'undrain' : 'drain');
    this.say(
      flags.undo
        ? `Node ${args.node} takes writes again.`
        : `Node ${args.node} takes no more writes; \`chukcha node ls\` shows when it is drained.`,
    );
  }
}
