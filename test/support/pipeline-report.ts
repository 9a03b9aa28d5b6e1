import type { PipelineReport } from '../../src/protocol/pipeline-report.js';

/** What a sink that works tells of itself, apart from what a test wants to be otherwise. */
export function pipelineReport(changes: Partial<PipelineReport> = {}): PipelineReport {
  return {
    host: 'machine1',
    plugin: 'list',
    group: 'archive',
    state: 'running',
    bytesPerSecond: 0,
    backlogBytes: 0,
    secondsLeft: 0,
    lastError: null,
    lastErrorClass: null,
    secondsSinceSuccess: 1,
    bytes: 10,
    messages: 1,
    retries: 0,
    deadLetters: 0,
    duplicates: 0,
    ...changes,
  };
}
