import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import type { RequestCounts } from '../server/request-counts.js';
import type { DamageCounts } from '../storage/damage-counts.js';
import type { DescriptorCounts } from './descriptor-counts.js';
import { metricMakers } from './metric-makers.js';

/** The part of the metrics that counts what has happened since the start, and what the process uses. */
export interface EventMetrics {
  /** Takes over what was counted; all of the registry is 0 before. */
  take(descriptors: DescriptorCounts | undefined): void;
  /** Ends what is measured all the time. */
  close(): void;
}

export function createEventMetrics(
  registry: Registry,
  counts: RequestCounts,
  damage: DamageCounts,
): EventMetrics {
  const takeDamage = createDamageMetrics(registry, damage);
  const takeProcess = createProcessMetrics(registry);
  const { gauge, counter } = metricMakers(registry);
  const requests = counter('chukcha_requests_total', 'Requests answered, batches of streams too', [
    'route',
    'status',
  ]);
  const refusals = counter('chukcha_refusals_total', 'Requests refused, by the code of the error', [
    'code',
  ]);
  const duplicates = counter('chukcha_duplicates_total', 'Repeated batches that were not stored');
  const connections = gauge('chukcha_connections', 'Connections that are open', ['kind']);
  return {
    take(descriptors) {
      for (const { route, status, count } of counts.requests) {
        requests.inc({ route, status: String(status) }, count);
      }
      for (const [code, count] of counts.refusals) refusals.inc({ code }, count);
      duplicates.inc(counts.duplicateCount);
      for (const [kind, count] of counts.connections.byKind) connections.set({ kind }, count);
      takeDamage();
      takeProcess.take(descriptors);
    },
    close: () => takeProcess.close(),
  };
}

function createDamageMetrics(registry: Registry, damage: DamageCounts): () => void {
  const { counter } = metricMakers(registry);
  const quarantined = counter(
    'chukcha_quarantined_chunks_total',
    'Damaged chunks that were moved aside',
  );
  const salvaged = counter(
    'chukcha_salvaged_bytes_total',
    'Bytes of damaged chunks, and of copies beyond their owner, that were stored again',
  );
  const batches = counter('chukcha_salvaged_batches_total', 'Batches that were stored again');
  const lost = counter(
    'chukcha_damaged_bytes_total',
    'Bytes of damaged chunks that could not be saved, and that no peer was known to have',
  );
  const divergent = counter(
    'chukcha_divergent_chunks_total',
    'Copies that were not what the seal of their owner says',
  );
  const findings = counter(
    'chukcha_scrub_findings_total',
    'Sealed chunks that a check found not to be as they should',
    ['kind'],
  );
  return () => {
    const { scrubFindings } = damage;
    quarantined.inc(damage.quarantinedChunks);
    salvaged.inc(damage.salvagedBytes);
    batches.inc(damage.salvagedBatches);
    lost.inc(damage.lostBytes);
    divergent.inc(damage.divergentChunks);
    findings.inc({ kind: 'damaged' }, scrubFindings.damaged);
    findings.inc({ kind: 'missing' }, scrubFindings.missing);
    findings.inc({ kind: 'index_damaged' }, scrubFindings.indexDamaged);
  };
}

function createProcessMetrics(registry: Registry): EventMetrics {
  const { gauge, counter } = metricMakers(registry);
  const loopDelay = gauge(
    'chukcha_event_loop_delay_seconds',
    'The 99th percentile of the delay of the event loop since the last look',
  );
  const resident = gauge('chukcha_resident_bytes', 'Resident memory of the process');
  const heap = gauge('chukcha_heap_bytes', 'Memory of the process that objects and buffers take');
  const cpu = counter('chukcha_cpu_seconds_total', 'Time that the process has computed', ['mode']);
  const open = gauge('chukcha_open_descriptors', 'Files and connections that are open');
  const openMax = gauge('chukcha_open_descriptors_max', 'How many of them the system allows');
  const delays = monitorEventLoopDelay({ resolution: 20 });
  delays.enable();
  return {
    take(counted) {
      loopDelay.set(delays.count === 0 ? 0 : delays.percentile(99) / 1e9);
      delays.reset();
      const { rss, heapUsed, external } = process.memoryUsage();
      resident.set(rss);
      heap.set(heapUsed + external);
      const { user, system } = process.cpuUsage();
      cpu.inc({ mode: 'user' }, user / 1e6);
      cpu.inc({ mode: 'system' }, system / 1e6);
      open.set(counted?.open ?? 0);
      openMax.set(counted?.max ?? 0);
    },
    close: () => delays.disable(),
  };
}
