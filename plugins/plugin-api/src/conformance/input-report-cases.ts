import assert from 'node:assert/strict';
import type { InputBatch, InputContext } from '../input.js';
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
      // Refused at first, so that the same messages come again, in larger batches.
      const state = createMemoryState();
      const small = await readPlaces(source, { ...smallLimits, state }, smallBatchCount);
      const large = await readPlaces(source, { state }, Number.POSITIVE_INFINITY);
      for (const { id, offset, bytes } of small) {
        assertSameBytes(bytesAt(large, id, offset, bytes.length), bytes);
      }
    }),
  ];
}

/** Few enough that an input gives them although none is settled. */
const smallBatchCount = 3;

interface Place {
  readonly id: string;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** What some batches have, and where. They are refused when they are not all. */
async function readPlaces(
  source: InputSource,
  overrides: Partial<InputContext>,
  countMax: number,
): Promise<Place[]> {
  const run = await InputRun.open(source, createTestContext({ ...overrides, once: true }));
  const places: Place[] = [];
  const batches: InputBatch[] = [];
  while (batches.length < countMax) {
    const batch = await run.next();
    if (batch === undefined) break;
    const { bytes, origin } = batch;
    assert.ok(origin !== undefined, 'Expected an origin with every batch.');
    places.push({ id: origin.id, offset: origin.offset, bytes: Buffer.from(bytes) });
    if (countMax === Number.POSITIVE_INFINITY) await batch.ack();
    else batches.push(batch);
  }
  for (const batch of batches) await batch.nack(new Error('Refused by the suite.'));
  await run.stop();
  return places;
}

/** What batches have at a place of a source, as far as they have it. */
function bytesAt(places: readonly Place[], id: string, offset: number, length: number): Buffer {
  const found = places
    .filter((place) => place.id === id)
    .sort((left, right) => left.offset - right.offset)
    .map((place) => {
      const from = Math.max(0, offset - place.offset);
      return place.bytes.subarray(from, Math.max(from, offset + length - place.offset));
    });
  return Buffer.concat(found);
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
