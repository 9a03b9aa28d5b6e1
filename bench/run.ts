// Runs the benchmarks that are named, or all: `npm run bench -- write-batches`.
import { cpus } from 'node:os';
import { benchShipAndSink } from './ship-and-sink.js';
import { benchWriteBatches } from './write-batches.js';

const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  'write-batches': benchWriteBatches,
  'ship-and-sink': benchShipAndSink,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(benchmarks, name));
if (unknown.length > 0) {
  console.error(
    `There is no benchmark ${unknown.join(', ')}: expected ${Object.keys(benchmarks).join(', ')}.`,
  );
  process.exit(2);
}
console.log(
  `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}\n`,
);
for (const [name, run] of Object.entries(benchmarks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`## ${name}\n`);
  await run();
}
