import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { formatBytes } from '../common/quantity.js';

/** The machine as a report names it: processors, memory and kernel. */
export function describeMachine(): string {
  const [processor] = cpus();
  return `${availableParallelism()} x ${processor?.model.trim() ?? 'unknown processor'}, ${formatBytes(totalmem())}, ${type()} ${release()}`;
}
