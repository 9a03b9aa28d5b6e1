import { formatBytes, formatSpan } from './format-figures.js';
import type { Cell, Column } from './live-table.js';
import { isAway, isSilent, type MemberReport, type NodeReport } from './node-report.js';

/** The nodes that a report knows of; one that stands alone knows itself. */
export function nodeRows({ node, state, clusterStatus }: NodeReport): readonly MemberReport[] {
  if (clusterStatus !== null) return clusterStatus.members;
  const alone = {
    name: node,
    url: '',
    state: state === 'running' ? 'active' : state,
    drained: false,
    self: true,
    receiving: false,
    sending: false,
    behindBytes: null,
    heardSecondsAgo: null,
    problem: null,
  };
  return [alone];
}

/** The columns of the table of nodes: what this node knows of each other one. */
export const nodeColumns: readonly Column<MemberReport>[] = [
  {
    title: 'Node',
    cell: ({ name, self, url }) => ({
      text: name,
      ...(self || url === '' ? {} : { href: `${url.replace(/\/$/, '')}/console` }),
    }),
  },
  { title: 'State', cell: stateCell },
  { title: 'Last contact', isNumber: true, cell: contactCell },
  {
    title: 'Sends to us',
    cell: ({ self, receiving }) => linkCell(self, receiving),
  },
  {
    title: 'Takes from us',
    cell: ({ self, sending }) => linkCell(self, sending),
  },
  {
    title: 'Lag behind us',
    isNumber: true,
    cell: ({ self, behindBytes }) => lagCell(self, behindBytes),
  },
  {
    title: 'Problem',
    isWords: true,
    cell: ({ problem }) => problem ?? { text: 'none', tone: 'quiet' },
  },
];

function stateCell(member: MemberReport): Cell {
  if (isAway(member)) return { text: 'away', tone: 'bad' };
  const { state, drained, self } = member;
  if (isSilent(member)) return { text: 'silent', tone: 'warn' };
  if (drained) return { text: 'drained', tone: 'warn' };
  if (state !== 'active') return { text: state, tone: state === 'lost' ? 'bad' : 'warn' };
  return { text: self ? 'this node' : 'active', tone: 'good' };
}

function contactCell(member: MemberReport): Cell {
  const { self, heardSecondsAgo } = member;
  if (self) return { text: 'here', tone: 'quiet' };
  if (heardSecondsAgo === null) return { text: 'not since our start', tone: 'quiet' };
  const tone = isSilent(member) ? 'warn' : 'plain';
  return { text: heardSecondsAgo < 1 ? 'now' : `${formatSpan(heardSecondsAgo)} ago`, tone };
}

function linkCell(isSelf: boolean, isThere: boolean): Cell {
  if (isSelf) return { text: '–', tone: 'quiet' };
  return isThere ? { text: 'yes' } : { text: 'no', tone: 'bad' };
}

function lagCell(isSelf: boolean, behindBytes: number | null): Cell {
  if (isSelf) return { text: '–', tone: 'quiet' };
  if (behindBytes === null) return { text: 'not known', tone: 'quiet' };
  return { text: formatBytes(behindBytes), tone: behindBytes === 0 ? 'quiet' : 'plain' };
}
