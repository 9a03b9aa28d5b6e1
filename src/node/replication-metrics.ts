import type { Registry } from 'prom-client';
import type { ClusterStatus } from '../protocol/http-api.js';
import type { ReplicationFigures } from '../replication/replication.js';
import { metricMakers, seriesCountMax } from './metric-makers.js';

/** Returns what takes over how peers stand; it returns how many series are left out. A lone node has no peers. */
export function createReplicationMetrics(
  registry: Registry,
): (cluster: ClusterStatus | null, figures: ReplicationFigures | undefined) => number {
  const { gauge } = metricMakers(registry);
  const hereOnly = gauge('chukcha_bytes_here_only', 'Bytes of own chunks that no other node has');
  const unreplicated = gauge(
    'chukcha_unreplicated_bytes',
    'Bytes of own chunks of a category that no other node has',
    ['category'],
  );
  const lag = gauge('chukcha_replication_lag_bytes', 'Bytes that a connected peer lacks', ['peer']);
  const categoryLag = gauge(
    'chukcha_category_replication_lag_bytes',
    'Bytes of a category that a connected peer lacks',
    ['category', 'peer'],
  );
  const pendingAcks = gauge(
    'chukcha_acks_pending',
    'Acknowledged chunks of which a peer has not confirmed that it knows',
    ['peer'],
  );
  const receiving = gauge('chukcha_peer_receiving', '1 when chunks come from the peer, else 0', [
    'peer',
  ]);
  const coordination = gauge('chukcha_coordination_up', '1 when etcd can be reached, else 0');
  return (cluster, figures) => {
    hereOnly.set(cluster?.bytesHereOnly ?? 0);
    coordination.set(cluster?.coordination.available === false ? 0 : 1);
    for (const { name: peer, self, ...member } of cluster?.members ?? []) {
      if (self) continue;
      receiving.set({ peer }, member.receiving ? 1 : 0);
      if (member.behindBytes !== null) lag.set({ peer }, member.behindBytes);
    }
    if (figures === undefined) return 0;
    const { categories } = figures;
    const here = categories.map(({ category, bytesHereOnly: bytes }) => ({ category, bytes }));
    const pairs = categories.flatMap(({ category, behind }) =>
      behind.map(({ peer, bytes }) => ({ category, peer, bytes })),
    );
    const shownHere = largest(here);
    const shownPairs = largest(pairs);
    for (const { category, bytes } of shownHere) unreplicated.set({ category }, bytes);
    for (const { category, peer, bytes } of shownPairs) categoryLag.set({ category, peer }, bytes);
    for (const [peer, count] of figures.pendingAcks) pendingAcks.set({ peer }, count);
    return here.length - shownHere.length + pairs.length - shownPairs.length;
  };
}

/** Above the limit those are shown that lag the most: who lacks nothing is the least to be looked for. */
function largest<Series extends { readonly bytes: number }>(
  series: readonly Series[],
): readonly Series[] {
  if (series.length <= seriesCountMax) return series;
  return series.toSorted((left, right) => right.bytes - left.bytes).slice(0, seriesCountMax);
}
