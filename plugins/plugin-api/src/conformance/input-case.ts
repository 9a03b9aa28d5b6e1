import assert from 'node:assert/strict';
import type { InputBatch, InputContext } from '../input.js';
import type { ConformanceCase } from './conformance-case.js';
import { InputRun } from './input-run.js';
import type { InputSource, InputSuite } from './input-suite.js';
import { createTestContext } from './test-context.js';

/** Small enough that the lines of the suite make several batches, whatever the input's own block size. */
export const smallLimits = { messageBytesMax: 4 * 1024, batchBytesMax: 16 * 1024 };

/** A case with a source of its own, which is let go of however the case ends. */
export function inputCase(
  name: string,
  suite: InputSuite,
  check: (source: InputSource) => Promise<void>,
): ConformanceCase {
  return {
    name,
    run: async () => {
      const source = await suite.createSource(exampleLines());
      try {
        await check(source);
      } finally {
        await source.close();
      }
    },
  };
}

/** A run with `once` that acknowledges everything; resolves with what it yielded. */
export async function readAll(source: InputSource, state: InputContext['state']): Promise<Buffer> {
  const run = await InputRun.open(source, createTestContext({ ...smallLimits, state, once: true }));
  const received = await run.ackAll(Number.POSITIVE_INFINITY);
  await run.close();
  return received;
}

/** The next batch. Throws when there is none. */
export async function expectBatch(run: InputRun): Promise<InputBatch> {
  const batch = await run.next();
  assert.ok(batch !== undefined, 'Expected a batch, but the input has ended.');
  return batch;
}

/** Lines that an input is tempted to change, and enough of them for several batches. */
export function exampleLines(): Uint8Array[] {
  const lines: Uint8Array[] = [
    Buffer.from('plain'),
    Buffer.from(''),
    Buffer.from('ends with a carriage return\r'),
    Buffer.from('{"json":"stays text"}'),
    Buffer.from([0xff, 0xfe, 0x00, 0x80]),
    Buffer.from('\u{1f600} and \u2028'),
    Buffer.alloc(smallLimits.messageBytesMax - 1, 'x'),
  ];
  for (let index = 0; index < 1000; index += 1) {
    lines.push(Buffer.from(`line ${index} ${'.'.repeat(index % 97)}`));
  }
  return lines;
}

/** The bytes of a source with these lines. */
export function joinLines(lines: readonly Uint8Array[]): Buffer {
  const newline = Buffer.from('\n');
  return Buffer.concat(lines.flatMap((line) => [line, newline]));
}

/** Throws with the place of the first byte that differs. */
export function assertSameBytes(received: Buffer, expected: Buffer): void {
  if (received.equals(expected)) return;
  let at = 0;
  while (at < expected.length && received[at] === expected[at]) at += 1;
  assert.fail(
    `Expected ${expected.length} bytes as they are in the source, got ${received.length}; the first ${at} are right.`,
  );
}

/** Throws when bytes that have to come again have not. */
export function assertIncludes(received: Buffer, expected: Buffer): void {
  assert.ok(
    received.includes(expected),
    `Expected the batch of ${expected.length} bytes to come again; ${received.length} bytes came without it.`,
  );
}
