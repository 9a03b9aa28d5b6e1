import type { BenchOptions } from './support/bench-options.js';
import { aloneSchedule, byteUnit, compare, comparisonHeads } from './support/compare.js';
import { makeLines } from './support/make-lines.js';
import { printTable } from './support/table.js';
import { floorSide, loadSide, nodeSide } from './support/write-sides.js';

const MIB = 1024 * 1024;
const warmUpBytes = 64 * MIB;
/** What is written before the pages that `pretouch` has freed are cold again. */
const roundBytes = 256 * MIB;

/** `POST /write` with large batches, in turn with a plain Node server that appends the same bodies. */
export async function benchWriteBatches(options: BenchOptions): Promise<void> {
  const rows: string[][] = [];
  for (const batchBytes of [1 * MIB, 4 * MIB]) {
    const body = makeLines(batchBytes);
    for (const connectionCount of [1, 4, 16]) {
      const load = { connectionCount };
      const comparison = {
        name: `${batchBytes / MIB} MiB x ${connectionCount}`,
        sides: [floorSide(body, load), nodeSide('chukcha', body, load), loadSide(body, load)],
        unit: byteUnit(batchBytes),
        warmUp: { requestCount: warmUpBytes / batchBytes },
        timed: { requestCount: roundBytes / batchBytes },
        schedule: aloneSchedule,
      };
      rows.push(...(await compare(comparison, options)));
    }
  }
  printTable(comparisonHeads('batch x connections', byteUnit(MIB)), rows);
}
