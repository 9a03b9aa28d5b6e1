import { formatBytes, formatCount, formatRate, formatSpan } from './format-figures.js';
import type { Cell, Column } from './live-table.js';
import type { PipelineReport } from './node-report.js';

/** The columns of the table of pipelines: what each of them says of itself. */
export const pipelineColumns: readonly Column<PipelineReport>[] = [
  { title: 'Pipeline', cell: ({ name }) => name },
  { title: 'Way', cell: wayOf },
  { title: 'Host', cell: ({ host }) => host },
  { title: 'State', cell: stateCell },
  { title: 'Rate', isNumber: true, cell: ({ bytesPerSecond }) => rateCell(bytesPerSecond) },
  { title: 'Backlog', isNumber: true, cell: backlogCell },
  { title: 'Dead letters', isNumber: true, cell: lettersCell },
  { title: 'Last error', isWords: true, cell: errorCell },
];

/** Ships and sinks, or those of two categories, may have the same name. */
export function pipelineKey({ name, kind, category }: PipelineReport): string {
  return `${name} ${kind} ${category}`;
}

/** Whether it does nothing until a person has mended something, or it was started anew. */
export function standsStill({ state }: PipelineReport): boolean {
  return state === 'stalled' || state === 'waiting';
}

function wayOf({ kind, plugin, category, group }: PipelineReport): string {
  if (kind === 'ship') return `${plugin} to ${category}`;
  return `${category} to ${plugin}, group ${group}`;
}

function stateCell(pipeline: PipelineReport): Cell {
  const { state } = pipeline;
  if (standsStill(pipeline)) return { text: state, tone: 'bad' };
  if (state === 'retrying') return { text: state, tone: 'warn' };
  return { text: state, tone: state === 'running' ? 'good' : 'quiet' };
}

function rateCell(bytesPerSecond: number | null): Cell {
  if (bytesPerSecond === null) return { text: '–', tone: 'quiet' };
  return { text: formatRate(bytesPerSecond), tone: bytesPerSecond === 0 ? 'quiet' : 'plain' };
}

function backlogCell({ backlogBytes, secondsLeft }: PipelineReport): Cell {
  if (backlogBytes === null) return { text: 'not known', tone: 'quiet' };
  if (backlogBytes === 0) return { text: formatBytes(0), tone: 'quiet' };
  const left = secondsLeft === null ? '' : `, done in ${formatSpan(secondsLeft)}`;
  return { text: `${formatBytes(backlogBytes)}${left}` };
}

function lettersCell({ deadLetters }: PipelineReport): Cell {
  return { text: formatCount(deadLetters), tone: deadLetters === 0 ? 'quiet' : 'warn' };
}

function errorCell(pipeline: PipelineReport): Cell {
  const { lastError, state } = pipeline;
  if (lastError === null) return { text: 'none', tone: 'quiet' };
  if (standsStill(pipeline)) return { text: lastError, tone: 'bad' };
  // What is over is told all the same, because a pipeline that fails now and then is worth a look.
  return { text: lastError, tone: state === 'retrying' ? 'plain' : 'quiet' };
}
