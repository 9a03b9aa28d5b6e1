import type { Cell, Column } from './live-table.js';
import type { PipelineReport } from './node-report.js';

/** What else a pipeline says is cut here, so that one of them cannot fill the page. */
const detailLengthMax = 400;

/**
 * The columns of the table of pipelines. A name, a state and an error have places of their own; the rest is shown as it
 * comes, so that a newer node's figures are not hidden by an older page.
 */
export const pipelineColumns: readonly Column<PipelineReport>[] = [
  { title: 'Pipeline', cell: pipelineName },
  { title: 'State', isWords: true, cell: stateCell },
  { title: 'Figures', isWords: true, cell: detailsOf },
];

export function pipelineName(pipeline: PipelineReport): string {
  return String(pipeline['name'] ?? 'without a name');
}

function stateCell({ state, error }: PipelineReport): Cell {
  if (typeof error === 'string' && error !== '') {
    return { text: `${state ?? 'failing'}: ${error}`.slice(0, detailLengthMax), tone: 'bad' };
  }
  return { text: String(state ?? 'not known'), tone: state === 'running' ? 'good' : 'plain' };
}

function detailsOf(pipeline: PipelineReport): string {
  return Object.entries(pipeline)
    .filter(([key, value]) => !['name', 'state', 'error'].includes(key) && value !== null)
    .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(' · ')
    .slice(0, detailLengthMax);
}
