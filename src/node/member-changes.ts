import type { ClusterTable, Member } from '../coordination/cluster-table.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import type { NodeChange } from '../protocol/http-api.js';

/**
 * What a member is after an operator's word. Throws `membership_refused` for what would lose messages, unless it is
 * forced, and for what makes no sense.
 */
export function changedMember(
  table: ClusterTable,
  name: string,
  before: Member | undefined,
  change: NodeChange,
  force: boolean,
): Member {
  if (before === undefined) {
    const names = table.members.map((member) => member.name).join(', ');
    throw refused(`There is no node ${name} in the cluster: expected one of ${names}.`);
  }
  switch (change) {
    case 'drain':
      if (before.state === 'active' || before.state === 'draining') {
        return { ...before, state: 'draining' };
      }
      throw refused(`Node ${name} is ${before.state} and takes no writes anyway.`);
    case 'undrain':
      if (before.state === 'active' || before.state === 'draining') {
        return { ...before, state: 'active' };
      }
      throw refused(`Node ${name} is ${before.state}: start it, and it takes part again.`);
    case 'replace':
      return replaced(table, before);
    case 'remove':
      return removed(table, before, force);
  }
}

function replaced(table: ClusterTable, before: Member): Member {
  if (before.state === 'replaceable') return before;
  if (table.isAlive(before.name)) {
    throw refused(
      `Node ${before.name} runs: stop it before another directory takes its place; some seconds after a crash this passes.`,
    );
  }
  return { ...before, state: 'replaceable', epoch: before.epoch + 1 };
}

function removed(table: ClusterTable, before: Member, force: boolean): Member {
  if (before.state === 'removed') return before;
  const isEmptied = before.state === 'draining' && table.isDrained(before.name);
  if (!isEmptied && !force) {
    throw refused(
      `Node ${before.name} may have messages that no other node has: empty it first (\`chukcha node drain ${before.name}\`, until \`chukcha node ls\` shows it as drained), or remove it with --force and give these up.`,
    );
  }
  return { ...before, state: 'removed', epoch: before.epoch + 1 };
}

function refused(message: string): ChukchaError {
  return new ChukchaError('membership_refused', message);
}
