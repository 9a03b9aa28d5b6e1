import assert from 'node:assert/strict';
import type { CheckStep, WriteOutcome } from '../output.js';
import { pluginErrorKind } from '../plugin-error.js';
import type { ConformanceCase } from './conformance-case.js';
import { assertReceived, createBatch, openOutput, outputCase, writeBatch } from './output-case.js';
import type { OutputSuite, OutputTarget } from './output-suite.js';
import { createTestOutputContext } from './test-context.js';
import { soon } from './time-limit.js';

const never = new AbortController().signal;

/** The rules for what an output does when messages cannot be delivered, as far as the target of the suite can show it. */
export function failureCases(suite: OutputSuite): ConformanceCase[] {
  return [
    ...(suite.badMessage === undefined ? [] : [badMessageCase(suite, suite.badMessage)]),
    ...(suite.interrupts === true
      ? [
          outputCase(
            'fails for now while the target is away, and goes on afterwards',
            suite,
            interrupted,
          ),
        ]
      : []),
    ...(suite.refuses === true
      ? [
          outputCase(
            'gives the messages again that `only` names, and no others',
            suite,
            refusedOnce,
          ),
        ]
      : []),
    ...(suite.checks === true
      ? [outputCase('checks without changing anything', suite, checked)]
      : []),
  ];
}

/** Either the output names the message and the target has the others, or the host has to find it by halving. */
function badMessageCase(suite: OutputSuite, badMessage: Uint8Array): ConformanceCase {
  return outputCase('tells a message that the target will never take', suite, async (target) => {
    const output = await openOutput(target);
    const parts = [Buffer.from('{"good":1}\n'), badMessage, Buffer.from('{"good":2}\n')];
    const batch = createBatch(0, Buffer.concat(parts));
    let outcome: WriteOutcome | undefined;
    try {
      outcome = await soon(output.write(batch, never), 'write to settle');
    } catch (error) {
      assert.equal(pluginErrorKind(error), 'data', 'Expected an error of kind data.');
      const alone = soon(output.write(createBatch(11, badMessage), never), 'write to reject');
      await assert.rejects(alone, (again) => pluginErrorKind(again) === 'data');
      await output.close();
      return;
    }
    await output.close();
    const failures = (outcome?.failures ?? []).map(
      ({ index, kind = 'data' }) => `${index} ${kind}`,
    );
    assert.deepEqual(failures, ['1 data'], 'Expected the bad message to be named, and no other.');
    assert.ok((outcome?.failures[0]?.reason ?? '').length > 0, 'Expected what the target said.');
    assertReceived(await target.received(), Buffer.from('{"good":1}\n{"good":2}\n'));
  });
}

async function interrupted(target: OutputTarget): Promise<void> {
  assert.ok(target.interrupt !== undefined, 'Expected a target with interrupt.');
  const output = await openOutput(target);
  const batch = createBatch(0, 'patient\n');
  await target.interrupt();
  const write = soon(output.write(batch, never), 'write to reject while the target is away');
  await assert.rejects(write, (error) => pluginErrorKind(error) === 'transient');
  await target.restore?.();
  await writeBatch(output, batch);
  await output.close();
  const received = Buffer.from(await target.received()).toString();
  assert.match(received, /^(patient\n){1,2}$/, 'Expected the batch once, or twice at most.');
}

async function refusedOnce(target: OutputTarget): Promise<void> {
  assert.ok(target.refuseOnce !== undefined, 'Expected a target with refuseOnce.');
  const output = await openOutput(target);
  const batch = createBatch(0, '{"n":0}\n{"n":1}\n{"n":2}\n');
  await target.refuseOnce([0, 2]);
  const outcome = await soon(output.write(batch, never), 'write to resolve');
  const failures = (outcome?.failures ?? []).map(({ index, kind }) => `${index} ${kind}`);
  assert.deepEqual(failures, ['0 transient', '2 transient'], 'Expected the refused messages.');
  await writeBatch(output, { ...batch, only: [0, 2] });
  await output.close();
  const received = Buffer.from(await target.received()).toString();
  assert.deepEqual(
    received.split('\n').sort(),
    Buffer.from(batch.bytes).toString().split('\n').sort(),
    'Expected each message once.',
  );
}

async function checked(target: OutputTarget): Promise<void> {
  assert.ok(target.check !== undefined, 'Expected a target with check.');
  const before = Buffer.from(await target.received());
  const steps: CheckStep[] = [];
  const look = async (): Promise<void> => {
    for await (const step of target.check?.(createTestOutputContext()) ?? []) steps.push(step);
  };
  await soon(look(), 'check to end');
  assert.ok(steps.length > 0, 'Expected one step or more.');
  for (const { name, result, detail } of steps) {
    assert.ok(name.length > 0 && detail.length > 0, 'Expected a name and a sentence in each step.');
    assert.notEqual(result, 'failed', `Expected nothing wrong with a target that works: ${detail}`);
  }
  assertReceived(await target.received(), before);
}
