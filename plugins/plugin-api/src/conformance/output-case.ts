import assert from 'node:assert/strict';
import { countNewlines } from '../count-newlines.js';
import type { Output, OutputBatch } from '../output.js';
import type { ConformanceCase } from './conformance-case.js';
import type { OutputSuite, OutputTarget } from './output-suite.js';
import { createTestOutputContext } from './test-context.js';
import { soon } from './time-limit.js';

/** A case with a target of its own, which is let go of however the case ends. */
export function outputCase(
  name: string,
  suite: OutputSuite,
  check: (target: OutputTarget) => Promise<void>,
): ConformanceCase {
  return {
    name,
    run: async () => {
      const target = await suite.createTarget();
      try {
        await check(target);
      } finally {
        await target.close();
      }
    },
  };
}

/** Opens the output as a host does. */
export function openOutput(target: OutputTarget): Promise<Output> {
  return soon(target.open(createTestOutputContext()), 'open to resolve');
}

/** Writes a batch of which no message may be refused. */
export async function writeBatch(output: Output, batch: OutputBatch): Promise<void> {
  const outcome = await soon(output.write(batch, new AbortController().signal), 'write to resolve');
  assert.equal(outcome?.failures.length ?? 0, 0, 'Expected no message to be refused.');
}

/** A batch at this offset of a chunk, with a token that names it. */
export function createBatch(offset: number, content: string | Uint8Array): OutputBatch {
  const chunk = 'node1-chunk000000000';
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const token = `logs/${chunk}/${offset}/${bytes.length}`;
  const messageCount = countNewlines(bytes);
  return { category: 'logs', cluster: 'c1', chunk, offset, bytes, messageCount, token };
}

/** Throws when the target has other bytes. */
export function assertReceived(received: Uint8Array, expected: Buffer): void {
  const equal = Buffer.from(received.buffer, received.byteOffset, received.byteLength).equals(
    expected,
  );
  assert.ok(
    equal,
    `Expected the ${expected.length} bytes that were written, got ${received.length} bytes that differ.`,
  );
}
