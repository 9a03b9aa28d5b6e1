export type { ConformanceCase } from './conformance-case.js';
export { inputConformance } from './input-conformance.js';
export type { InputSource, InputSuite } from './input-suite.js';
export { createMemoryState } from './memory-state.js';
export { type OutputSuite, type OutputTarget, outputConformance } from './output-conformance.js';
export { createTestContext, createTestOutputContext } from './test-context.js';
export { createTestLog, type LogEntry, type TestLog } from './test-log.js';
export { createTestMetrics, type TestMetrics } from './test-metrics.js';
export { soon } from './time-limit.js';
