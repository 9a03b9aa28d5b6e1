import type { Registry } from 'prom-client';
import type { CategoryStatus } from '../protocol/http-api.js';
import type { Category } from '../storage/category.js';
import { metricMakers, seriesCountMax } from './metric-makers.js';

/** Returns what takes over how categories and their groups stand; it returns how many series are left out. */
export function createCategoryMetrics(
  registry: Registry,
): (categories: readonly CategoryStatus[], open: Iterable<Category>) => number {
  const { gauge, counter } = metricMakers(registry);
  const labels = ['category'] as const;
  const chunks = gauge('chukcha_chunks', 'Chunks that the node holds', labels);
  const openChunks = gauge('chukcha_open_chunks', 'Chunks of these that may still grow', labels);
  const bytes = gauge('chukcha_chunk_bytes', 'Bytes of chunks that the node holds', labels);
  const hidden = gauge('chukcha_hidden_chunks', 'Damaged chunks that no reader sees', labels);
  const expired = gauge('chukcha_expired_bytes', 'Bytes given up by retention', labels);
  const written = counter('chukcha_written_bytes_total', 'Bytes that clients have written', labels);
  const copied = counter('chukcha_copied_bytes_total', 'Bytes that came as copies', labels);
  const read = counter('chukcha_read_bytes_total', 'Bytes that were sent to readers', labels);
  const lag = gauge('chukcha_group_lag_bytes', 'Bytes that a group has still to acknowledge', [
    'category',
    'group',
  ]);
  return (categories, open) => {
    const shown = categories.slice(0, seriesCountMax);
    const openCounts = countOpenChunks(open);
    let groupsLeft = seriesCountMax;
    for (const { name: category, groups, ...held } of shown) {
      chunks.set({ category }, held.chunks);
      openChunks.set({ category }, openCounts.get(category) ?? 0);
      bytes.set({ category }, held.bytes);
      hidden.set({ category }, held.hiddenChunks.length);
      expired.set({ category }, held.expiredBytes);
      written.inc({ category }, held.writtenBytes);
      copied.inc({ category }, held.copiedBytes);
      read.inc({ category }, held.readBytes);
      for (const { group, bytes: lagBytes } of groups.slice(0, groupsLeft)) {
        lag.set({ category, group }, lagBytes);
        groupsLeft -= 1;
      }
    }
    const groupCount = categories.reduce((sum, { groups }) => sum + groups.length, 0);
    return categories.length - shown.length + groupCount - (seriesCountMax - groupsLeft);
  };
}

function countOpenChunks(categories: Iterable<Category>): ReadonlyMap<string, number> {
  const isOpen = ({ state }: { readonly state: string }): boolean => state === 'open';
  return new Map(
    [...categories].map(({ name, view }) => [name, view.chunks.filter(isOpen).length]),
  );
}
