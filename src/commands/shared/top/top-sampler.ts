import type { Credentials } from '../../../client/credentials.js';
import { RateMeter } from '../../../common/rate-meter.js';
import { errorMessage } from '../../../protocol/chukcha-error.js';
import type { CategoryStatus, NodeStatus } from '../../../protocol/http-api.js';
import { askNodes } from '../doctor/ask-nodes.js';
import type { AskedNode } from '../doctor/node-checks.js';
import { mergePipelines } from '../merge-pipelines.js';
import type { TaskReport } from '../monitor/task-report.js';
import type { TopGroup, TopNode, TopTask, TopView } from './top-view.js';

export interface TopSamplerOptions {
  readonly servers: readonly string[];
  readonly credentials: Credentials;
  /** Addresses of processes that run a file of pipelines. */
  readonly monitors: readonly string[];
}

/** A monitor answers from memory. */
const monitorMsMax = 3_000;

/** Looks at nodes and monitors again and again, and tells how they stand and how fast they move. */
export class TopSampler {
  readonly #options: TopSamplerOptions;
  readonly #meters = new Map<string, RateMeter>();
  /** What was written to each category since the first look, and what each node counted last. */
  readonly #written = new Map<string, { total: number; byNode: Map<string, number> }>();

  constructor(options: TopSamplerOptions) {
    this.#options = options;
  }

  async sample(signal?: AbortSignal): Promise<TopView> {
    const nodes = await askNodes(this.#options, signal);
    const statuses = nodes.flatMap(({ status }) => (status === undefined ? [] : [status]));
    const monitors = await Promise.all(this.#options.monitors.map((url) => readTasks(url)));
    const nowMs = performance.now();
    const groups = this.#groups(statuses, nowMs);
    return {
      at: new Date().toISOString(),
      nodes: nodes.map(describeNode),
      groups,
      tasks: monitors.flatMap(({ url, tasks }) => this.#tasks(url, tasks, nowMs)),
      pipelines: mergePipelines(statuses),
      problems: [
        ...nodes.flatMap(findProblems),
        ...monitors.flatMap(({ problem }) => (problem === undefined ? [] : [problem])),
      ],
    };
  }

  #groups(statuses: readonly NodeStatus[], nowMs: number): TopGroup[] {
    return mergeCategories(statuses).flatMap(({ name, bytes, groups }): TopGroup[] => {
      const total = this.#writtenTotal(name, statuses);
      const written = this.#rate(`written/${name}`, nowMs, total);
      const common = { category: name, heldBytes: bytes, writtenBytesPerSecond: written };
      if (groups.length === 0) return [{ ...common, ...noGroup }];
      return groups.map(({ group, bytes: backlogBytes }) => {
        const acknowledged = this.#rate(`acked/${name}/${group}`, nowMs, total - backlogBytes);
        return {
          ...common,
          group,
          backlogBytes,
          acknowledgedBytesPerSecond: acknowledged,
          secondsLeft: secondsLeft(backlogBytes, written, acknowledged),
        };
      });
    });
  }

  /** What all nodes together took since the first look, also over their restarts. */
  #writtenTotal(category: string, statuses: readonly NodeStatus[]): number {
    const known = this.#written.get(category) ?? { total: 0, byNode: new Map<string, number>() };
    this.#written.set(category, known);
    for (const { node, categories } of statuses) {
      const { writtenBytes } = categories.find(({ name }) => name === category) ?? {};
      if (writtenBytes === undefined) continue;
      const before = known.byNode.get(node) ?? writtenBytes;
      known.total += writtenBytes >= before ? writtenBytes - before : writtenBytes;
      known.byNode.set(node, writtenBytes);
    }
    return known.total;
  }

  #tasks(url: string, tasks: readonly TaskReport[], nowMs: number): TopTask[] {
    return tasks.map(({ kind, name, state, bytes, restarts, deadLetters, lastError }) => ({
      kind,
      name,
      state,
      bytesPerSecond: this.#rate(`task/${url}/${kind}/${name}`, nowMs, bytes, true),
      restarts,
      deadLetters,
      lastError: lastError ?? null,
    }));
  }

  #rate(key: string, nowMs: number, total: number, startsAnew = false): number | null {
    const meter = this.#meters.get(key) ?? new RateMeter(startsAnew);
    this.#meters.set(key, meter);
    meter.add(nowMs, total);
    return meter.perSecond;
  }
}

const noGroup = {
  group: null,
  backlogBytes: 0,
  acknowledgedBytesPerSecond: null,
  secondsLeft: null,
} as const;

function secondsLeft(
  backlogBytes: number,
  written: number | null,
  acknowledged: number | null,
): number | null {
  if (backlogBytes === 0) return 0;
  const shrinking = (acknowledged ?? 0) - (written ?? 0);
  return shrinking <= 0 ? null : Math.round(backlogBytes / shrinking);
}

function describeNode({ url, status }: AskedNode): TopNode {
  if (status === undefined) {
    const unknown = { version: null, freeBytes: null, inFlightBytes: null, hereOnlyBytes: null };
    return { name: url, state: 'no answer', ...unknown };
  }
  return {
    name: status.node,
    state: status.disk.refusal === null ? status.state : 'refuses writes',
    version: status.version,
    freeBytes: status.disk.freeBytes,
    inFlightBytes: status.bytesInFlight,
    hereOnlyBytes: status.clusterStatus?.bytesHereOnly ?? null,
  };
}

function findProblems({ status, problem }: AskedNode): string[] {
  if (status === undefined) return [problem ?? ''];
  const { node, disk, clusterStatus, categories } = status;
  const etcd = clusterStatus?.coordination.problem;
  const hidden = categories.filter(({ hiddenChunks }) => hiddenChunks.length > 0);
  return [
    ...(disk.refusal === null ? [] : [`${node}: ${disk.refusal}`]),
    ...(etcd === null || etcd === undefined ? [] : [`${node}: etcd is away: ${etcd}`]),
    ...(clusterStatus?.members ?? []).flatMap(({ name, problem: why }) =>
      why === null ? [] : [`${node}: nothing comes from ${name}: ${why}`],
    ),
    ...hidden.map(({ name, hiddenChunks }) => {
      return `${node}: ${hiddenChunks.length} damaged chunks of ${name} are shown to no reader.`;
    }),
  ];
}

/** Every node counts what it has; the one that has most is nearest to the truth. */
function mergeCategories(
  statuses: readonly NodeStatus[],
): Pick<CategoryStatus, 'name' | 'bytes' | 'groups'>[] {
  const merged = new Map<
    string,
    { bytes: number; groups: Map<string, CategoryStatus['groups'][0]> }
  >();
  for (const { name, bytes, groups } of statuses.flatMap(({ categories }) => categories)) {
    const known = merged.get(name) ?? { bytes: 0, groups: new Map() };
    merged.set(name, known);
    known.bytes = Math.max(known.bytes, bytes);
    for (const group of groups) {
      const most = known.groups.get(group.group);
      if (most === undefined || most.bytes < group.bytes) known.groups.set(group.group, group);
    }
  }
  return [...merged]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, { bytes, groups }]) => ({ name, bytes, groups: [...groups.values()] }));
}

async function readTasks(
  url: string,
): Promise<{ url: string; tasks: readonly TaskReport[]; problem?: string }> {
  try {
    const answer = await fetch(`${url}/status`, { signal: AbortSignal.timeout(monitorMsMax) });
    const { tasks } = (await answer.json()) as { readonly tasks?: readonly TaskReport[] };
    if (tasks !== undefined) return { url, tasks };
    return {
      url,
      tasks: [],
      problem: `${url} is no monitor: start \`chukcha run\` with --monitor.`,
    };
  } catch (error) {
    const cause = (error as { readonly cause?: unknown }).cause ?? error;
    return {
      url,
      tasks: [],
      problem: `The monitor ${url} does not answer: ${errorMessage(cause)}.`,
    };
  }
}
