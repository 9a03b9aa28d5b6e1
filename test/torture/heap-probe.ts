import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { getHeapCodeStatistics, setFlagsFromString, writeHeapSnapshot } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a process has after a collection; bytes. */
export interface ProbedMemory extends NodeJS.MemoryUsage {
  /** Compiled code and what belongs to it, a part of the heap. */
  readonly code: number;
}

/*
 * Loaded into a node by `--import`: on SIGUSR2 it collects garbage and writes what is left, so that what a process
 * keeps is told from what it has not let go yet. It writes a heap snapshot besides where a file asks for one, by its path.
 */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const path = process.env['HEAP_PROBE_FILE'];

process.on('SIGUSR2', () => {
  if (path === undefined) return;
  // Twice: what has a finalizer goes with the second.
  collect();
  collect();
  const code = getHeapCodeStatistics();
  const memory: ProbedMemory = {
    ...process.memoryUsage(),
    code: code.code_and_metadata_size + code.bytecode_and_metadata_size,
  };
  const wanted = `${path}.${process.pid}.snapshot`;
  if (existsSync(wanted)) {
    writeHeapSnapshot(readFileSync(wanted, 'utf8'));
    rmSync(wanted);
  }
  // Under its name it is whole.
  writeFileSync(`${path}.${process.pid}.new`, JSON.stringify(memory));
  renameSync(`${path}.${process.pid}.new`, `${path}.${process.pid}`);
});
