import { Gauge, Registry } from 'prom-client';
import type { NodeStatus } from '../protocol/http-api.js';

/** The metrics of a node, in the text form of Prometheus. */
export interface NodeMetrics {
  readonly contentType: string;
  /** What they are now. */
  read(): Promise<string>;
}

/** Returns the metrics of a node: gauges of what its status says, taken when somebody asks. */
export function createNodeMetrics(status: () => Promise<NodeStatus>): NodeMetrics {
  const registry = new Registry();
  const gauge = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Gauge<Label> => new Gauge({ name, help, labelNames, registers: [registry] });
  const ready = gauge('chukcha_ready', '1 when the node takes writes, else 0');
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
  const take = (now: NodeStatus): void => {
    registry.resetMetrics();
    ready.set(reasonsAgainst(now).length === 0 ? 1 : 0);
    inFlight.set(now.bytesInFlight);
    free.set(now.disk.freeBytes);
    reserve.set(now.disk.reserveBytes);
    for (const { name: category, groups, ...held } of now.categories) {
      chunks.set({ category }, held.chunks);
      bytes.set({ category }, held.bytes);
      hidden.set({ category }, held.hiddenChunks.length);
      for (const { group, bytes: lagBytes } of groups) lag.set({ category, group }, lagBytes);
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
      return registry.metrics();
    },
  };
}

/** Why the node takes no writes, as sentences; none when it does. */
export function reasonsAgainst({ state, disk }: NodeStatus): readonly string[] {
  return [
    ...(state === 'running' ? [] : [`The node is ${state}.`]),
    ...(disk.refusal === null ? [] : [disk.refusal]),
  ];
}
