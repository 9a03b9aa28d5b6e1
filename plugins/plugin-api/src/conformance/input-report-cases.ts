import assert from 'node:assert/strict';
import type { ConformanceCase } from './conformance-case.js';
import {
  assertSameBytes,
  exampleLines,
  expectBatch,
  inputCase,
  joinLines,
  smallLimits,
} from './input-case.js';
import { InputRun } from './input-run.js';
import type { InputSource, InputSuite } from './input-suite.js';
import { createMemoryState } from './memory-state.js';
import { createTestContext } from './test-context.js';

/** The rules for what an input says of its sources. */
export function reportCases(suite: InputSuite): ConformanceCase[] {
  return [
    ...(suite.originates === true ? originCases(suite) : []),
    ...(suite.explains === true ? explainCases(suite) : []),
  ];
}

function originCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('names places that do not depend on how the source is cut', suite, async (source) => {
      const small = await readPlaces(source, smallLimits);
      const large = await readPlaces(source, {});
      assert.deepEqual(
        [...small.keys()].sort(),
        [...large.keys()].sort(),
        'Expected the same ids of sources however they are cut.',
      );
      for (const [id, bytes] of small) assertSameBytes(bytes, large.get(id) ?? Buffer.alloc(0));
    }),
  ];
}

/** What each source has given, each batch at the place that it names. */
async function readPlaces(
  source: InputSource,
  limits: Partial<typeof smallLimits>,
): Promise<Map<string, Buffer>> {
  const sources = new Map<string, Buffer>();
  const byteCount = joinLines(exampleLines()).length;
  const run = await InputRun.open(
    source,
    createTestContext({ ...limits, state: createMemoryState() }),
  );
  for (let count = 0; count < byteCount; ) {
    const { bytes, origin, ack } = await expectBatch(run);
    assert.ok(origin !== undefined, 'Expected an origin with every batch.');
    const known = sources.get(origin.id) ?? Buffer.alloc(0);
    const end = origin.offset + bytes.length;
    const longer = end > known.length ? Buffer.concat([known], end) : known;
    longer.set(bytes, origin.offset);
    sources.set(origin.id, longer);
    count += bytes.length;
    await ack();
  }
  await run.stop();
  return sources;
}

function explainCases(suite: InputSuite): ConformanceCase[] {
  return [
    inputCase('explains its sources before, while and after it reads', suite, async (source) => {
      const run = await InputRun.open(source, createTestContext(smallLimits));
      await expectReports(run);
      const batch = await expectBatch(run);
      await expectReports(run);
      await batch.ack();
      await run.ackAll(joinLines(exampleLines()).length - batch.bytes.length);
      const reports = await expectReports(run);
      assert.ok(reports > 0, 'Expected a report of the source that was read.');
      await run.stop();
    }),
  ];
}

/** Checks what the input says of its sources; resolves with how many there are. */
async function expectReports(run: InputRun): Promise<number> {
  const reports = await run.explain();
  for (const { source, state, detail, acceptedBytes, sourceBytes } of reports) {
    assert.ok(source.length > 0, 'Expected a report that names its source.');
    assert.match(state, /^[a-z][a-z0-9_]*$/, 'Expected a state of one word.');
    assert.ok(detail.length > state.length, `Expected a sentence about ${source}, got ${detail}.`);
    assert.ok(
      acceptedBytes === undefined || sourceBytes === undefined || acceptedBytes <= sourceBytes,
      `Expected no more accepted of ${source} than the ${sourceBytes} bytes that it has, got ${acceptedBytes}.`,
    );
  }
  return reports.length;
}
