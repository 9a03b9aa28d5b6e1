import { formatBytes } from '../../common/quantity.js';
import type { MemberStatus } from '../../protocol/http-api.js';
import { formatTable } from './format-table.js';

/** The nodes of a cluster as lines for people. */
export function describeMembers(members: readonly MemberStatus[]): string[] {
  return formatTable(
    [
      { title: 'NODE', value: ({ name, self }) => (self ? `${name} *` : name) },
      { title: 'STATE', value: ({ state, drained }) => (drained ? 'drained' : state) },
      { title: 'ADDRESS', value: ({ url }) => url },
      { title: 'CONNECTED', value: describeConnection },
      { title: 'BEHIND', value: describeBehind, align: 'right' },
    ],
    members,
  );
}

function describeConnection({ self, receiving, sending, heardSecondsAgo }: MemberStatus): string {
  if (self) return '-';
  if (receiving && sending) return 'yes';
  if (receiving || sending) return receiving ? 'only from it' : 'only to it';
  return heardSecondsAgo === null ? 'no' : `no, for ${heardSecondsAgo} s`;
}

function describeBehind({ self, behindBytes }: MemberStatus): string {
  if (self) return '-';
  return behindBytes === null ? '?' : formatBytes(behindBytes);
}
