import type { MemberStatus } from '../../protocol/http-api.js';
import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { jsonFlag, serverFlag } from '../shared/flags.js';
import { describeMembers } from '../shared/member-table.js';

export default class NodeLs extends BaseCommand {
  static override summary = 'List the nodes of the cluster and how far each has come.';

  static override description =
    'BEHIND is what a node has still to get of the messages of the node that answers. A node that stands alone ' +
    'lists nobody.';

  static override examples = [
    '<%= config.bin %> node ls',
    '<%= config.bin %> node ls --server http://127.0.0.1:8081 --json',
  ];

  static override flags = { server: serverFlag, ...credentialFlags, json: jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(NodeLs);
    const { withClient } = await import('../shared/with-client.js');
    const { clusterStatus } = await withClient(flags, (client) => client.status());
    const members: readonly MemberStatus[] = clusterStatus?.members ?? [];
    if (members.length === 0) {
      this.say('The node stands alone: a node becomes a member of a cluster with `serve --etcd`.');
    }
    this.printData(members, describeMembers(members), flags.json);
  }
}
