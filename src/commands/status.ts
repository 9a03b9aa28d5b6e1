import { formatBytes } from '../common/quantity.js';
import type { CategoryStatus, GroupBacklog, NodeStatus } from '../protocol/http-api.js';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags } from './shared/credential-flags.js';
import { jsonFlag, serverFlag } from './shared/flags.js';
import { formatTable } from './shared/format-table.js';
import { describeMembers } from './shared/member-table.js';

export default class Status extends BaseCommand {
  static override summary = 'Show a node, its categories, and how far behind each group is.';

  static override description = 'Ends with 1 when the node does not answer.';

  static override examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status --server http://127.0.0.1:8080 --json',
  ];

  static override flags = { server: serverFlag, ...credentialFlags, json: jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    const { withClient } = await import('./shared/with-client.js');
    const status = await withClient(flags, (client) => client.status());
    this.printData(
      status,
      [...describeNode(status), ...describeCluster(status), ...describeCategories(status)],
      flags.json,
    );
  }
}

function describeNode(status: NodeStatus): string[] {
  return [
    `node     ${status.node}, ${status.state}`,
    `cluster  ${status.clusterStatus?.name ?? 'none, it stands alone'} (${status.cluster})`,
    `version  ${status.version}`,
    `up       ${formatDuration(status.uptimeSeconds)}, since ${status.startedAt}`,
    `disk     ${formatBytes(status.disk.freeBytes)} free of ${formatBytes(status.disk.totalBytes)}, ${formatBytes(status.disk.reserveBytes)} in reserve`,
    ...(status.disk.refusal === null ? [] : [`writes   REFUSED: ${status.disk.refusal}`]),
  ];
}

function describeCluster({ clusterStatus }: NodeStatus): string[] {
  if (clusterStatus === null) return [];
  const { members, bytesHereOnly, coordination } = clusterStatus;
  return [
    `only here  ${formatBytes(bytesHereOnly)} that no other node has`,
    ...(coordination.available ? [] : [`etcd     AWAY: ${coordination.problem}`]),
    '',
    ...describeMembers(members),
  ];
}

/** A line for each group, and one for a category without any. */
function describeCategories({ categories }: NodeStatus): string[] {
  const rows = categories.flatMap(
    (category): { category: CategoryStatus; group?: GroupBacklog }[] =>
      category.groups.length === 0
        ? [{ category }]
        : category.groups.map((group) => ({ category, group })),
  );
  const table = formatTable(
    [
      { title: 'CATEGORY', value: ({ category }) => category.name },
      { title: 'CHUNKS', value: ({ category }) => String(category.chunks), align: 'right' },
      { title: 'SIZE', value: ({ category }) => formatBytes(category.bytes), align: 'right' },
      { title: 'GROUP', value: ({ group }) => group?.group ?? '-' },
      {
        title: 'TO ACKNOWLEDGE',
        value: ({ group }) => (group === undefined ? '-' : formatBytes(group.bytes)),
        align: 'right',
      },
    ],
    rows,
  );
  return table.length === 0 ? [] : ['', ...table];
}

/** The two largest units of a duration: `3 d 4 h`. */
function formatDuration(seconds: number): string {
  const parts = [
    `${Math.floor(seconds / 86_400)} d`,
    `${Math.floor(seconds / 3_600) % 24} h`,
    `${Math.floor(seconds / 60) % 60} min`,
    `${seconds % 60} s`,
  ];
  const first = parts.findIndex((part) => !part.startsWith('0 '));
  return first === -1 ? '0 s' : parts.slice(first, first + 2).join(' ');
}
