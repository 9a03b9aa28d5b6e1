// Writes small batches as a well-behaved client does, in a thread of its own so that the load of an attack is not
// measured. Ends when it is told to, and tells then what it has seen.
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Client } from '../../src/index.js';
import { errorCode } from '../../src/protocol/chukcha-error.js';

export interface ProbeResult {
  /** How long each write took that was answered with 200. */
  readonly timesMs: readonly number[];
  /** The codes of those that were not. */
  readonly refusals: readonly string[];
}

/** Few enough that the probe itself is no load. */
const pauseMs = 5;

const batch = Buffer.from(`${'.'.repeat(199)}\n`);
const client = new Client({ server: workerData as string });
const timesMs: number[] = [];
const refusals: string[] = [];
let isRunning = true;
parentPort?.once('message', () => {
  isRunning = false;
});
while (isRunning) {
  const startMs = performance.now();
  try {
    await client.write('probe', [batch]);
    timesMs.push(performance.now() - startMs);
  } catch (error) {
    refusals.push(errorCode(error) ?? String(error));
  }
  await delay(pauseMs);
}
client.close();
parentPort?.postMessage({ timesMs, refusals } satisfies ProbeResult);
