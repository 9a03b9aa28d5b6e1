import assert from 'node:assert/strict';
import { countNewlines } from '../count-newlines.js';
import type { Output, OutputBatch, OutputContext } from '../output.js';
import type { ConformanceCase } from './conformance-case.js';
import { createTestOutputContext } from './test-context.js';
import { soon } from './time-limit.js';

/** What the suite has to know about an output. */
export interface OutputSuite {
  /** Makes an empty target. */
  createTarget(): Promise<OutputTarget>;
}

/** A target of messages and the output to it. */
export interface OutputTarget {
  open(context: OutputContext): Promise<Output>;
  /** All messages that the target has, each ended by `\n`, in the order in which they came. */
  received(): Promise<Uint8Array>;
  /** Lets go of the target. */
  close(): Promise<void>;
}

/** The rules that every output has to keep, as cases for a test runner. */
export function outputConformance(suite: OutputSuite): ConformanceCase[] {
  return [
    outputCase('opens and closes without a write', suite, async (target) => {
      const output = await openOutput(target);
      await soon(output.close(), 'close to resolve');
      assert.equal((await target.received()).length, 0, 'Expected nothing in the target.');
    }),
    outputCase('may be closed twice', suite, async (target) => {
      const output = await openOutput(target);
      await writeBatch(output, createBatch(0, 'one\n'));
      await soon(Promise.all([output.close(), output.close()]), 'close to resolve');
      await soon(output.close(), 'close to resolve');
    }),
    outputCase(
      'has every message in the target when write resolves, as it is',
      suite,
      async (target) => {
        const output = await openOutput(target);
        let expected = Buffer.alloc(0);
        for (const text of [
          'one\n',
          'two\n\nthree\r\n',
          '{"json":true}\n',
          `${'x'.repeat(70_000)}\n`,
        ]) {
          const batch = createBatch(expected.length, text);
          await writeBatch(output, batch);
          expected = Buffer.concat([expected, batch.bytes]);
          assertReceived(await target.received(), expected);
        }
        await output.close();
        assertReceived(await target.received(), expected);
      },
    ),
    outputCase('writes bytes that are not text, and a batch of 4 MiB', suite, async (target) => {
      const output = await openOutput(target);
      const bytes = Buffer.alloc(4 * 1024 * 1024, 0xfe);
      for (let at = 99; at < bytes.length; at += 100) bytes[at] = 0x0a;
      bytes[bytes.length - 1] = 0x0a;
      await writeBatch(output, createBatch(0, bytes));
      await output.close();
      assertReceived(await target.received(), bytes);
    }),
    outputCase(
      'does not need the bytes of a batch once write has resolved',
      suite,
      async (target) => {
        const output = await openOutput(target);
        const bytes = Buffer.from('before\n'.repeat(20_000));
        const expected = Buffer.from(bytes);
        await writeBatch(output, createBatch(0, bytes));
        bytes.fill('after!\n');
        await output.close();
        assertReceived(await target.received(), expected);
      },
    ),
    outputCase('takes a batch again with the same token', suite, async (target) => {
      const output = await openOutput(target);
      const batch = createBatch(0, 'again\n');
      await writeBatch(output, batch);
      await writeBatch(output, batch);
      await output.close();
      const received = Buffer.from(await target.received()).toString();
      assert.match(
        received,
        /^(again\n){1,2}$/,
        'Expected the batch once or twice, and nothing else.',
      );
    }),
    outputCase('settles a write soon after an abort', suite, async (target) => {
      const output = await openOutput(target);
      const write = output.write(createBatch(0, 'late\n'), AbortSignal.abort());
      // Whether it was written or given up is the output's choice; only waiting is not.
      await soon(Promise.allSettled([write]), 'write to settle after the abort');
      await output.close();
    }),
  ];
}

function outputCase(
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

function openOutput(target: OutputTarget): Promise<Output> {
  return soon(target.open(createTestOutputContext()), 'open to resolve');
}

async function writeBatch(output: Output, batch: OutputBatch): Promise<void> {
  const outcome = await soon(output.write(batch, new AbortController().signal), 'write to resolve');
  assert.equal(outcome?.failures.length ?? 0, 0, 'Expected no message to be refused.');
}

/** A batch at this offset of a chunk, with a token that names it. */
function createBatch(offset: number, content: string | Uint8Array): OutputBatch {
  const chunk = 'node1-chunk000000000';
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const token = `logs/${chunk}/${offset}/${bytes.length}`;
  const messageCount = countNewlines(bytes);
  return { category: 'logs', cluster: 'c1', chunk, offset, bytes, messageCount, token };
}

function assertReceived(received: Uint8Array, expected: Buffer): void {
  const equal = Buffer.from(received.buffer, received.byteOffset, received.byteLength).equals(
    expected,
  );
  assert.ok(
    equal,
    `Expected the ${expected.length} bytes that were written, got ${received.length} bytes that differ.`,
  );
}
