import {
  countNewlines,
  type Output,
  type OutputBatch,
  type OutputContext,
  type PluginOptions,
} from '@chukcha/plugin-api';
import { createTestOutputContext } from '@chukcha/plugin-api/conformance';
import { createModule } from '../../src/elasticsearch-output.js';

export const never: AbortSignal = new AbortController().signal;

/** Opens the output as the host does, but for the defaults of the schema, which it has itself too. */
export function openOutput(options: PluginOptions, context = createContext()): Promise<Output> {
  return createModule('CHUKCHA_TEST').open(options, context);
}

export function createContext(sample = ''): OutputContext {
  return { ...createTestOutputContext(), sample: async () => Buffer.from(sample) };
}

/** A batch of these messages, at this offset of a chunk. */
export function createBatch(
  content: string | Buffer,
  offset = 0,
  chunk = 'node1-chunk000000000',
): OutputBatch {
  const bytes = Buffer.from(content);
  return {
    category: 'logs',
    cluster: 'c1',
    chunk,
    offset,
    bytes,
    messageCount: countNewlines(bytes),
    token: `logs/${chunk}/${offset}-${offset + bytes.length}`,
  };
}
