import { statfs } from 'node:fs/promises';
import { Gauge, Histogram, Registry } from 'prom-client';
import type { NodeStatus } from '../protocol/http-api.js';
import { pipelineStates } from '../protocol/pipeline-report.js';
import type { RequestCounts } from '../server/request-counts.js';
import type { Store } from '../storage/store.js';
import type { DurationCounts } from './duration-counts.js';
import { createEventMetrics } from './event-metrics.js';

/** So many series a metric by category, group or peer has at most; the rest is left out, and counted. */
const seriesCountMax = 1_000;

/** Why a node may take no writes: its state, or the code of what it refuses them with. */
const readOnlyReasons = ['draining', 'stopping', 'disk_full', 'storage_failed'] as const;

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
  readonly store: Pick<Store, 'damage' | 'refusal'>;
  readonly dataDirectory: string;
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

/** Returns the metrics of a node: most are what its status says, taken when somebody asks. */
export function createNodeMetrics(
  status: () => Promise<NodeStatus>,
  { counts, store, dataDirectory, syncSeconds, writeSeconds }: NodeFigures,
): NodeMetrics {
  const registry = new Registry();
  const gauge = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Gauge<Label> => new Gauge({ name, help, labelNames, registers: [registry] });
  const ready = gauge('chukcha_ready', '1 when the node takes writes, else 0');
  const readOnly = gauge('chukcha_read_only', '1 for the reason why no writes are taken, else 0', [
    'reason',
  ]);
  const inFlight = gauge('chukcha_bytes_in_flight', 'Bytes of bodies held in memory');
  const free = gauge('chukcha_disk_free_bytes', 'Free bytes on the disk of the data directory');
  const reserve = gauge('chukcha_disk_reserve_bytes', 'Free bytes below which writes are refused');
  const chunks = gauge('chukcha_chunks', 'Chunks that the node holds', ['category']);
  const bytes = gauge('chukcha_chunk_bytes', 'Bytes of chunks that the node holds', ['category']);
  const hidden = gauge('chukcha_hidden_chunks', 'Damaged chunks that no reader sees', ['category']);
  const lag = gauge('chukcha_group_lag_bytes', 'Bytes that a group has still to acknowledge', [
    'category',
    'group',
  ]);
  const hereOnly = gauge('chukcha_bytes_here_only', 'Bytes of own chunks that no other node has');
  const behind = gauge('chukcha_replication_lag_bytes', 'Bytes that a connected peer lacks', [
    'peer',
  ]);
  const receiving = gauge('chukcha_peer_receiving', '1 when chunks come from the peer, else 0', [
    'peer',
  ]);
  const coordination = gauge('chukcha_coordination_up', '1 when etcd can be reached, else 0');
  const expired = gauge('chukcha_expired_bytes', 'Bytes given up by retention', ['category']);
  const scrubbed = gauge(
    'chukcha_last_scrub_timestamp_seconds',
    'When the last check of all chunks ended, 0 for never since the start',
  );
  const inodes = gauge('chukcha_disk_free_inodes', 'Free inodes on the disk of the data directory');
  const pipelines = gauge('chukcha_pipelines', 'Ships and sinks that report to the node', [
    'state',
  ]);
  const leftOut = gauge('chukcha_series_left_out', 'Series that are not shown, above the limit');
  const events = createEventMetrics(registry, counts, store.damage);
  const take = (now: NodeStatus): void => {
    registry.resetMetrics();
    ready.set(reasonsAgainst(now).length === 0 ? 1 : 0);
    const refusal = store.refusal()?.code;
    for (const reason of readOnlyReasons) {
      readOnly.set({ reason }, reason === now.state || reason === refusal ? 1 : 0);
    }
    scrubbed.set(now.lastScrub === null ? 0 : Date.parse(now.lastScrub.endedAt) / 1_000);
    inFlight.set(now.bytesInFlight);
    free.set(now.disk.freeBytes);
    reserve.set(now.disk.reserveBytes);
    const groupCount = now.categories.reduce((sum, { groups }) => sum + groups.length, 0);
    const shown = now.categories.slice(0, seriesCountMax);
    let groupsLeft = seriesCountMax;
    for (const { name: category, groups, ...held } of shown) {
      expired.set({ category }, held.expiredBytes);
      chunks.set({ category }, held.chunks);
      bytes.set({ category }, held.bytes);
      hidden.set({ category }, held.hiddenChunks.length);
      for (const { group, bytes: lagBytes } of groups.slice(0, groupsLeft)) {
        lag.set({ category, group }, lagBytes);
        groupsLeft -= 1;
      }
    }
    leftOut.set(now.categories.length - shown.length + groupCount - (seriesCountMax - groupsLeft));
    for (const state of pipelineStates) {
      pipelines.set({ state }, now.pipelines.filter((each) => each.state === state).length);
    }
    hereOnly.set(now.clusterStatus?.bytesHereOnly ?? 0);
    coordination.set(now.clusterStatus?.coordination.available === false ? 0 : 1);
    for (const { name: peer, self, ...member } of now.clusterStatus?.members ?? []) {
      if (self) continue;
      receiving.set({ peer }, member.receiving ? 1 : 0);
      if (member.behindBytes !== null) behind.set({ peer }, member.behindBytes);
    }
  };
  return {
    contentType: registry.contentType,
    async read() {
      take(await status());
      events.take();
      inodes.set((await statfs(dataDirectory)).ffree);
      const durable = syncSeconds === undefined ? '' : `${await syncText(syncSeconds)}`;
      const written = writeSeconds?.text(...writeHistogram) ?? '';
      return `${await registry.metrics()}${durable}${written}`;
    },
    close: () => events.close(),
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
