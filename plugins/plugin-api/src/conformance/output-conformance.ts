import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';
import { assertReceived, createBatch, openOutput, outputCase, writeBatch } from './output-case.js';
import { failureCases } from './output-failure-cases.js';
import type { OutputSuite } from './output-suite.js';
import { soon } from './time-limit.js';

/** The rules that every output has to keep, as cases for a test runner. */
export function outputConformance(suite: OutputSuite): ConformanceCase[] {
  return [...lifeCases(suite), ...repetitionCases(suite), ...failureCases(suite)];
}

function lifeCases(suite: OutputSuite): ConformanceCase[] {
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

function repetitionCases(suite: OutputSuite): ConformanceCase[] {
  return [
    outputCase('bears as many writes at a time as it asks for', suite, async (target) => {
      const output = await openOutput(target);
      const inFlightMax = output.batching?.inFlightMax ?? 1;
      assert.ok(
        Number.isSafeInteger(inFlightMax) && inFlightMax > 0,
        `Expected inFlightMax to be 1 or more, got ${inFlightMax}.`,
      );
      const lines = Array.from({ length: inFlightMax }, (_, index) => `batch ${index}\n`);
      let offset = 0;
      const writes = lines.map((line) => {
        const batch = createBatch(offset, line);
        offset += line.length;
        return writeBatch(output, batch);
      });
      await Promise.all(writes);
      await output.close();
      const received = Buffer.from(await target.received()).toString();
      assert.deepEqual(
        received.split('\n').sort(),
        lines.join('').split('\n').sort(),
        'Expected every message of the writes once, in any order.',
      );
    }),
    ...(suite.isIdempotent === true ? idempotenceCases(suite) : []),
  ];
}

function idempotenceCases(suite: OutputSuite): ConformanceCase[] {
  return [
    outputCase(
      'has a batch once that was written twice, also by a later run',
      suite,
      async (target) => {
        const batch = createBatch(0, 'once\nand for all\n');
        const output = await openOutput(target);
        assert.equal(output.isIdempotent, true, 'Expected an output that says isIdempotent.');
        await writeBatch(output, batch);
        await writeBatch(output, batch);
        await output.close();
        const later = await openOutput(target);
        await writeBatch(later, batch);
        await later.close();
        assertReceived(await target.received(), Buffer.from(batch.bytes));
      },
    ),
    outputCase(
      'takes the same bytes of another place for other messages',
      suite,
      async (target) => {
        const output = await openOutput(target);
        await writeBatch(output, createBatch(0, 'again\n'));
        await writeBatch(output, createBatch(6, 'again\n'));
        await output.close();
        assertReceived(await target.received(), Buffer.from('again\nagain\n'));
      },
    ),
  ];
}
