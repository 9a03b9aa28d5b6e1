import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/*
 * Loaded into a node by `--import`: on SIGUSR2 it collects garbage and writes what is left, so that what a process
 * keeps is told from what it has not let go yet.
 */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const path = process.env['HEAP_PROBE_FILE'];

process.on('SIGUSR2', () => {
  if (path === undefined) return;
  // Twice: what has a finalizer goes with the second.
  collect();
  collect();
  // Under its name it is whole.
  writeFileSync(`${path}.${process.pid}.new`, JSON.stringify(process.memoryUsage()));
  renameSync(`${path}.${process.pid}.new`, `${path}.${process.pid}`);
});
