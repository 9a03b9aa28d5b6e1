import type { BenchOptions } from './support/bench-options.js';
import {
  type Comparison,
  compare,
  comparisonHeads,
  requestUnit,
  togetherSchedule,
} from './support/compare.js';
import { makeLines } from './support/make-lines.js';
import { printTable } from './support/table.js';
import { floorSide, loadSide, nodeSide, type WriteLoad } from './support/write-sides.js';

const message = makeLines(200);
/** After about half of it, every function on the way is compiled. */
const warmUpMs = 1_000;
const timedMs = 500;

/** `POST /write` with one message each, in turn with a plain Node server that appends the same bodies. */
export async function benchWriteMessages(options: BenchOptions): Promise<void> {
  const common = {
    unit: requestUnit,
    warmUp: { durationMs: warmUpMs },
    timed: { durationMs: timedMs },
    // A round writes only a few megabytes, so cold pages and what is left to flush do not matter.
    schedule: togetherSchedule,
  };
  const comparisons: Comparison[] = [
    { connectionCount: 16 },
    { connectionCount: 64 },
    { connectionCount: 256 },
    { connectionCount: 1, pipelinedCount: 64 },
  ].map((load: WriteLoad) => ({
    ...common,
    name: `${load.connectionCount}${load.pipelinedCount === undefined ? '' : ', 64 pipelined'}`,
    sides: [floorSide(message, load), nodeSide('chukcha', message, load), loadSide(message, load)],
  }));
  const load = { connectionCount: 64 };
  comparisons.push({
    ...common,
    name: '64, durability',
    sides: [
      nodeSide('chukcha', message, load),
      nodeSide('chukcha, sync_each_write', message, load, '&sync_each_write=true'),
    ],
  });
  const rows: string[][] = [];
  for (const comparison of comparisons) rows.push(...(await compare(comparison, options)));
  printTable(comparisonHeads('connections', requestUnit), rows);
}
