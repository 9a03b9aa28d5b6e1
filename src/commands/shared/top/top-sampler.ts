import { Client } from '../../../client/client.js';
import { observerGroup } from '../../../client/observer-group.js';
import { errorMessage } from '../../../protocol/chukcha-error.js';
import type { CategoryStatus, ListedChunk, NodeStatus } from '../../../protocol/http-api.js';
import { askNodes } from '../doctor/ask-nodes.js';
import type { AskedNode } from '../doctor/node-checks.js';
import type { TaskReport } from '../run-set.js';
import { RateMeter } from './rate-meter.js';
import type { TopGroup, TopNode, TopTask, TopView } from './top-view.js';

export interface TopSamplerOptions {
  readonly servers: readonly string[];
  /** Addresses of processes that run a file of pipelines. */
  readonly monitors: readonly string[];
}

/** A monitor answers from memory. */
const monitorMsMax = 3_000;

/** Looks at nodes and monitors again and again, and tells how they stand and how fast they move. */
export class TopSampler {
  readonly #options: TopSamplerOptions;
  readonly #meters = new Map<string, RateMeter>();
  /** What was written to each category since the first look, and how large each chunk was then. */
  readonly #written = new Map<string, { total: number; sizes: Map<string, number> | undefined }>();

  constructor(options: TopSamplerOptions) {
    this.#options = options;
  }

  async sample(signal?: AbortSignal): Promise<TopView> {
    const nodes = await askNodes(this.#options.servers, signal);
    const statuses = nodes.flatMap(({ status }) => (status === undefined ? [] : [status]));
    const monitors = await Promise.all(this.#options.monitors.map((url) => readTasks(url)));
    const nowMs = performance.now();
    const groups = await this.#groups(nodes, statuses, nowMs, signal);
    return {
      at: new Date().toISOString(),
      nodes: nodes.map(describeNode),
      groups,
      tasks: monitors.flatMap(({ url, tasks }) => this.#tasks(url, tasks, nowMs)),
      problems: [
        ...nodes.flatMap(findProblems),
        ...monitors.flatMap(({ problem }) => (problem === undefined ? [] : [problem])),
      ],
    };
  }

  async #groups(
    nodes: readonly AskedNode[],
    statuses: readonly NodeStatus[],
    nowMs: number,
    signal: AbortSignal | undefined,
  ): Promise<TopGroup[]> {
    const url = nodes.find(({ status }) => status !== undefined)?.url;
    if (url === undefined) return [];
    const client = new Client({ server: url });
    try {
      const rows: TopGroup[] = [];
      for (const category of mergeCategories(statuses)) {
        const { name, bytes } = category;
        const total = await this.#writtenTotal(client, name, signal);
        const written = this.#rate(`written/${name}`, nowMs, total);
        const common = { category: name, heldBytes: bytes, writtenBytesPerSecond: written };
        if (category.groups.length === 0) rows.push({ ...common, ...noGroup });
        for (const { group, bytes: backlogBytes } of category.groups) {
          const acknowledged = this.#rate(`acked/${name}/${group}`, nowMs, total - backlogBytes);
          rows.push({
            ...common,
            group,
            backlogBytes,
            acknowledgedBytesPerSecond: acknowledged === null ? null : Math.max(0, acknowledged),
            secondsLeft: secondsLeft(backlogBytes, written, acknowledged),
          });
        }
      }
      return rows;
    } finally {
      client.close();
    }
  }

  /** What was written since the first look: the growth of each chunk, whoever wrote it. */
  async #writtenTotal(
    client: Client,
    category: string,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const known = this.#written.get(category) ?? { total: 0, sizes: undefined };
    this.#written.set(category, known);
    let chunks: readonly ListedChunk[];
    try {
      const call = { group: observerGroup, ...(signal === undefined ? {} : { signal }) };
      ({ chunks } = await client.listChunks(category, call));
    } catch {
      // The node went away since it was asked; the next look says so, and finds what was written meanwhile.
      return known.total;
    }
    const sizes = new Map(chunks.map(({ name, size }) => [name, size]));
    if (known.sizes !== undefined) {
      for (const [name, size] of sizes) {
        known.total += Math.max(0, size - (known.sizes.get(name) ?? 0));
      }
    }
    known.sizes = sizes;
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
