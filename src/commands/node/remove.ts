import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';
import { changeNode } from '../shared/change-node.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { serverFlag } from '../shared/flags.js';

export default class NodeRemove extends BaseCommand {
  static override summary = 'Take a node out of the cluster for good.';

  static override description =
    'It has to be drained before; with --force it need not be, and what only it has is given up. Its last chunks are ' +
    'finished at what the others have. The node itself is not stopped.';

  static override examples = [
    '<%= config.bin %> node remove node3',
    '<%= config.bin %> node remove node3 --force',
  ];

  static override args = {
    node: Args.string({ description: 'name of the node', required: true }),
  };

  static override flags = {
    force: Flags.boolean({ description: 'also when the node has messages that nobody else has' }),
    server: serverFlag,
    ...credentialFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(NodeRemove);
    await changeNode(flags, args.node, 'remove', flags.force);
    this.say(`Node ${args.node} is no member of the cluster any more.`);
  }
}
