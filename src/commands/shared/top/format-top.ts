import { formatBytes, formatDuration } from '../../../common/quantity.js';
import type { PipelineStatus } from '../../../protocol/pipeline-report.js';
import { formatTable } from '../format-table.js';
import { wrapText } from '../wrap-text.js';
import type { TopGroup, TopNode, TopTask, TopView } from './top-view.js';

const nothing = '-';

/** The view as lines for people. */
export function formatTop(view: TopView): string[] {
  return [
    ...formatNodes(view.nodes),
    ...section(formatGroups(view.groups)),
    ...section(formatPipelines(view.pipelines)),
    ...section(formatTasks(view.tasks)),
    ...section(
      [
        ...view.problems,
        ...taskProblems(view.tasks),
        ...pipelineProblems(view.pipelines, view.tasks),
      ].flatMap(formatProblem),
    ),
  ];
}

function section(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', ...lines];
}

/** The last error of a task that runs is over; that of another one is why it does not. */
function taskProblems(tasks: readonly TopTask[]): string[] {
  return tasks.flatMap(({ kind, name, state, lastError }) =>
    state === 'running' || lastError === null ? [] : [`${kind} ${name}: ${lastError}`],
  );
}

/** As of tasks; what a monitor has told of is not told twice. */
function pipelineProblems(
  pipelines: readonly PipelineStatus[],
  tasks: readonly TopTask[],
): string[] {
  const told = new Set(taskProblems(tasks));
  return pipelines.flatMap(({ kind, name, state, lastError }) => {
    const isFine = ['running', 'standing by'].includes(state);
    if (isFine || lastError === null || told.has(`${kind} ${name}: ${lastError}`)) return [];
    return [`${kind} ${name}: ${lastError}`];
  });
}

function formatProblem(problem: string): string[] {
  const [first = '', ...rest] = wrapText(problem, '  ');
  return [`!${first.slice(1)}`, ...rest];
}

function formatNodes(nodes: readonly TopNode[]): string[] {
  return formatTable(
    [
      { title: 'NODE', value: ({ name }) => name },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'VERSION', value: ({ version }) => version ?? nothing },
      { title: 'FREE', value: ({ freeBytes }) => size(freeBytes), align: 'right' },
      { title: 'IN FLIGHT', value: ({ inFlightBytes }) => size(inFlightBytes), align: 'right' },
      { title: 'ONLY HERE', value: ({ hereOnlyBytes }) => size(hereOnlyBytes), align: 'right' },
    ],
    nodes,
  );
}

function formatGroups(groups: readonly TopGroup[]): string[] {
  return formatTable(
    [
      { title: 'CATEGORY', value: ({ category }) => category },
      { title: 'HELD', value: ({ heldBytes }) => size(heldBytes), align: 'right' },
      { title: 'WRITTEN', value: (row) => rate(row.writtenBytesPerSecond), align: 'right' },
      { title: 'GROUP', value: ({ group }) => group ?? nothing },
      { title: 'BACKLOG', value: ({ backlogBytes }) => size(backlogBytes), align: 'right' },
      { title: 'ACKED', value: (row) => rate(row.acknowledgedBytesPerSecond), align: 'right' },
      { title: 'LEFT', value: timeLeft, align: 'right' },
    ],
    groups,
  );
}

function formatPipelines(pipelines: readonly PipelineStatus[]): string[] {
  return formatTable(
    [
      { title: 'PIPELINE', value: ({ name }) => name },
      { title: 'WAY', value: wayOf },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'RATE', value: ({ bytesPerSecond }) => rate(bytesPerSecond), align: 'right' },
      { title: 'BACKLOG', value: pipelineBacklog, align: 'right' },
      { title: 'LETTERS', value: ({ deadLetters }) => String(deadLetters), align: 'right' },
    ],
    pipelines,
  );
}

function wayOf({ kind, plugin, category }: PipelineStatus): string {
  return kind === 'ship' ? `${plugin}>${category}` : `${category}>${plugin}`;
}

/** What is left, and for how long where it shrinks. */
function pipelineBacklog({ backlogBytes, secondsLeft }: PipelineStatus): string {
  if (backlogBytes === 0 || secondsLeft === null) return size(backlogBytes);
  return `${size(backlogBytes)}, ${formatDuration(secondsLeft * 1_000)}`;
}

function formatTasks(tasks: readonly TopTask[]): string[] {
  return formatTable(
    [
      { title: 'TASK', value: ({ kind, name }) => `${kind} ${name}` },
      { title: 'STATE', value: ({ state }) => state },
      { title: 'RATE', value: ({ bytesPerSecond }) => rate(bytesPerSecond), align: 'right' },
      { title: 'RESTARTS', value: ({ restarts }) => String(restarts), align: 'right' },
      { title: 'LETTERS', value: ({ deadLetters }) => String(deadLetters), align: 'right' },
    ],
    tasks,
  );
}

function size(byteCount: number | null): string {
  return byteCount === null ? nothing : formatBytes(byteCount);
}

function rate(perSecond: number | null): string {
  return perSecond === null ? nothing : `${formatBytes(Math.round(perSecond))}/s`;
}

function timeLeft({ group, backlogBytes, secondsLeft }: TopGroup): string {
  if (group === null || backlogBytes === 0) return nothing;
  return secondsLeft === null ? 'does not shrink' : formatDuration(secondsLeft * 1_000);
}
