import type { InputContext } from '../input.js';
import type { OutputContext } from '../output.js';
import { createMemoryState } from './memory-state.js';
import { createTestLog } from './test-log.js';
import { createTestMetrics } from './test-metrics.js';

const MIB = 1024 * 1024;

/** What a host hands to an input, for tests: the limits of a real bus, a silent log, an empty state. */
export function createTestContext(overrides: Partial<InputContext> = {}): InputContext {
  return {
    log: createTestLog(),
    metrics: createTestMetrics(),
    state: createMemoryState(),
    once: false,
    messageBytesMax: 1 * MIB,
    batchBytesMax: 4 * MIB,
    ...overrides,
  };
}

/** As {@link createTestContext}, for an output. */
export function createTestOutputContext(overrides: Partial<OutputContext> = {}): OutputContext {
  return {
    log: createTestLog(),
    metrics: createTestMetrics(),
    category: 'logs',
    sample: async () => new Uint8Array(),
    ...overrides,
  };
}
