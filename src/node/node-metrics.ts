import { statfs } from 'node:fs/promises';
import { Histogram, Registry } from 'prom-client';
import { DurationCounts, histogramHead } from '../common/duration-counts.js';
import type { NodeStatus } from '../protocol/http-api.js';
import { pipelineStates } from '../protocol/pipeline-report.js';
import type { ReplicationFigures } from '../replication/replication.js';
import type { RequestCounts } from '../server/request-counts.js';
import type { Store } from '../storage/store.js';
import { createCategoryMetrics } from './category-metrics.js';
import { countDescriptors } from './descriptor-counts.js';
import { createEventMetrics } from './event-metrics.js';
import { metricMakers } from './metric-makers.js';
import { createReplicationMetrics } from './replication-metrics.js';

/** Why a node may take no writes: its state, or the code of what it refuses them with. */
const readOnlyReasons = ['draining', 'stopping', 'disk_full', 'storage_failed'] as const;

const requestHistogram = [
  'chukcha_request_seconds',
  'Seconds from a whole request to the begin of its answer, without what it was held for',
] as const;

const writeHistogram = [
  'chukcha_disk_write_seconds',
  'Seconds that the system took for writes to files',
] as const;

/** The metrics of a node, in the text form of Prometheus. */
export interface NodeMetrics {
  readonly contentType: string;
  /** What they are now. */
  read(): Promise<string>;
  /** Ends what is measured all the time. */
  close(): void;
}

/** What the metrics are made of besides the status. */
export interface NodeFigures {
  readonly counts: RequestCounts;
  readonly store: Pick<Store, 'damage' | 'refusal' | 'openCategories'>;
  readonly dataDirectory: string;
  /** What peers lack; a lone node has none. */
  readonly replication?: (() => ReplicationFigures) | undefined;
  /** How long files took to become durable, where somebody measures it. */
  readonly syncSeconds?: Histogram;
  /** How long writes to files took, where somebody measures it. */
  readonly writeSeconds?: DurationCounts;
}

/** A histogram of how long files take to become durable. */
export function createSyncHistogram(): Histogram {
  return new Histogram({
    name: 'chukcha_sync_seconds',
    help: 'Seconds that files took to become durable (fdatasync)',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers: [],
  });
}

/** A histogram of how long writes to files take. */
export function createWriteDurations(): DurationCounts {
  return new DurationCounts([
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
  ]);
}

/** Returns the metrics of a node: most are what its status says, taken when somebody asks. */
export function createNodeMetrics(
  status: () => Promise<NodeStatus>,
  { counts, store, dataDirectory, replication, syncSeconds, writeSeconds }: NodeFigures,
): NodeMetrics {
  const registry = new Registry();
  const takeNode = createStateMetrics(registry, store);
  const takeCategories = createCategoryMetrics(registry);
  const takeReplication = createReplicationMetrics(registry);
  const { gauge } = metricMakers(registry);
  const inodes = gauge('chukcha_disk_free_inodes', 'Free inodes on the disk of the data directory');
  const leftOut = gauge('chukcha_series_left_out', 'Series that are not shown, above the limit');
  const events = createEventMetrics(registry, counts, store.damage);
  return {
    contentType: registry.contentType,
    async read() {
      const [now, { ffree }, descriptors] = await Promise.all([
        status(),
        statfs(dataDirectory),
        countDescriptors(),
      ]);
      // From here to the last of them nothing is waited for: another look would begin anew in between.
      registry.resetMetrics();
      takeNode(now);
      inodes.set(ffree);
      leftOut.set(
        takeCategories(now.categories, store.openCategories) +
          takeReplication(now.clusterStatus, replication?.()),
      );
      events.take(descriptors);
      const durable = syncSeconds === undefined ? '' : `${await syncText(syncSeconds)}`;
      const [name, help] = writeHistogram;
      const written = writeSeconds && `${histogramHead(name, help)}${writeSeconds.samples(name)}`;
      const answered = counts.durationsText(...requestHistogram);
      return `${await registry.metrics()}${durable}${written ?? ''}${answered}`;
    },
    close: () => events.close(),
  };
}

/** Returns what takes over how the node as a whole stands. */
function createStateMetrics(
  registry: Registry,
  store: Pick<Store, 'refusal'>,
): (now: NodeStatus) => void {
  const { gauge } = metricMakers(registry);
  const info = gauge('chukcha_info', 'Always 1; the version is in the label', ['version']);
  const started = gauge('chukcha_start_timestamp_seconds', 'When the node was started');
  const ready = gauge('chukcha_ready', '1 when the node takes writes, else 0');
  const readOnly = gauge('chukcha_read_only', '1 for the reason why no writes are taken, else 0', [
    'reason',
  ]);
  const inFlight = gauge('chukcha_bytes_in_flight', 'Bytes of bodies held in memory');
  const free = gauge('chukcha_disk_free_bytes', 'Free bytes on the disk of the data directory');
  const reserve = gauge('chukcha_disk_reserve_bytes', 'Free bytes below which writes are refused');
  const scrubbed = gauge(
    'chukcha_last_scrub_timestamp_seconds',
    'When the last check of all chunks ended, 0 for never since the start',
  );
  const pipelines = gauge('chukcha_pipelines', 'Ships and sinks that report to the node', [
    'state',
  ]);
  return (now) => {
    info.set({ version: now.version }, 1);
    started.set(Date.parse(now.startedAt) / 1_000);
    ready.set(reasonsAgainst(now).length === 0 ? 1 : 0);
    const refusal = store.refusal()?.code;
    for (const reason of readOnlyReasons) {
      readOnly.set({ reason }, reason === now.state || reason === refusal ? 1 : 0);
    }
    inFlight.set(now.bytesInFlight);
    free.set(now.disk.freeBytes);
    reserve.set(now.disk.reserveBytes);
    scrubbed.set(now.lastScrub === null ? 0 : Date.parse(now.lastScrub.endedAt) / 1_000);
    for (const state of pipelineStates) {
      pipelines.set({ state }, now.pipelines.filter((each) => each.state === state).length);
    }
  };
}

/** Apart from the others, which begin anew with each look. */
async function syncText(histogram: Histogram): Promise<string> {
  const registry = new Registry();
  registry.registerMetric(histogram);
  return await registry.metrics();
}

/** Why the node takes no writes, as sentences; none when it does. */
export function reasonsAgainst({ state, disk }: NodeStatus): readonly string[] {
  return [
    ...(state === 'running' ? [] : [`The node is ${state}.`]),
    ...(disk.refusal === null ? [] : [disk.refusal]),
  ];
}
