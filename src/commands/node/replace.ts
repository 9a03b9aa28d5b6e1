import { Args } from '@oclif/core';
import { BaseCommand } from '../shared/base-command.js';
import { changeNode } from '../shared/change-node.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { serverFlag } from '../shared/flags.js';

export default class NodeReplace extends BaseCommand {
  static override summary = 'Have a node start anew under its name after its disk was lost.';

  static override description =
    'The cluster refuses an empty directory under a name that it knows. After this the node may start with one: it ' +
    'gets everything back from the others, and its last chunks are finished without what only the lost disk had. Also ' +
    'takes a node in again that was removed.';

  static override examples = [
    '<%= config.bin %> node replace node3 --server http://127.0.0.1:8081',
  ];

  static override args = {
    node: Args.string({ description: 'name of the node', required: true }),
  };

  static override flags = { server: serverFlag, ...credentialFlags };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(NodeReplace);
    await changeNode(flags, args.node, 'replace');
    this.say(
      `Node ${args.node} may start now with an empty --data directory, and gets back what the others have.`,
    );
  }
}
