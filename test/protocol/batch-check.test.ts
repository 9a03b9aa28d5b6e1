import assert from 'node:assert/strict';
import t from 'tap';
import { checkBatch, totalBytes } from '../../src/protocol/batch-check.js';
import { ChukchaError } from '../../src/protocol/chukcha-error.js';
import { messageBytesMax } from '../../src/protocol/limits.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';

/** A message of so many bytes, with its newline. */
function message(byteCount: number): Buffer {
  const bytes = Buffer.alloc(byteCount, 'x');
  bytes[byteCount - 1] = 0x0a;
  return bytes;
}

function refusal(pieces: readonly Uint8Array[]): ChukchaError | undefined {
  try {
    checkBatch(pieces);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof ChukchaError, String(error));
    return error;
  }
}

interface Verdict {
  readonly code: string;
  readonly line?: number;
  readonly offset?: number;
}

/** What the check must find, by looking at one line after another. */
function expectedVerdict(batch: Buffer): Verdict | undefined {
  if (batch.length === 0) return { code: 'batch_empty' };
  if (batch[batch.length - 1] !== 0x0a) return { code: 'batch_unterminated' };
  let line = 1;
  for (let offset = 0; offset < batch.length; line += 1) {
    const end = batch.indexOf(0x0a, offset) + 1;
    if (end - offset > messageBytesMax) return { code: 'message_too_large', line, offset };
    offset = end;
  }
  return undefined;
}

function verdict(pieces: readonly Uint8Array[]): Verdict | undefined {
  const error = refusal(pieces);
  if (error === undefined) return undefined;
  if (error.code !== 'message_too_large') return { code: error.code };
  const { line, offset } = error.fields;
  return { code: error.code, line: Number(line), offset: Number(offset) };
}

/** A batch of up to about 5 MiB, with message sizes near the limit more often than chance would have it. */
function randomBatch(random: SeededRandom): Buffer {
  const sizes = Array.from({ length: random.integer(0, 6) }, () => {
    switch (random.integer(0, 3)) {
      case 0:
        return random.integer(1, 3);
      case 1:
        return random.integer(1, 5_000);
      case 2:
        return random.integer(messageBytesMax - 2, messageBytesMax);
      default:
        return random.integer(1, messageBytesMax);
    }
  });
  if (random.fraction() < 0.4) {
    sizes.push(random.pick([messageBytesMax + 1, messageBytesMax + 2, 2 * messageBytesMax + 1]));
  }
  const batch = Buffer.concat(random.shuffle(sizes).map(message));
  return random.fraction() < 0.1 ? batch.subarray(0, -1) : batch;
}

await t.test(
  'the check finds what a look at every line finds, however the batch is cut',
  async (t) => {
    await checkProperty(t, 150, (random) => {
      const batch = randomBatch(random);
      const pieces = random.split(batch, random.pick([1, 2, 5, 40]));
      assert.deepEqual(verdict(pieces), expectedVerdict(batch));
      assert.equal(totalBytes(pieces), batch.length);
    });
  },
);

await t.test('a message of exactly 1 MiB with its newline passes', async (t) => {
  t.equal(refusal([message(messageBytesMax)]), undefined);
  t.equal(refusal([message(1), message(messageBytesMax), message(messageBytesMax)]), undefined);
});

await t.test('a message of one byte more is refused with its line and the limit', async (t) => {
  const error = refusal([message(1), message(5), message(messageBytesMax + 1), message(9)]);
  t.equal(error?.code, 'message_too_large');
  t.match(error?.fields, { line: 3, offset: 6, limit: 1_048_576 });
  t.match(error?.message, /^Line 3 of the batch is larger than 1048576 bytes/);
});

await t.test('the first of several messages that are too large is named', async (t) => {
  const large = message(messageBytesMax + 1);
  t.match(refusal([large, large])?.fields, { line: 1, offset: 0 });
  const halves = [large.subarray(0, 1000), large.subarray(1000)];
  t.match(refusal([message(1), message(1), ...halves, large])?.fields, { line: 3, offset: 2 });
});

await t.test('a batch without a message is refused', async (t) => {
  t.equal(refusal([])?.code, 'batch_empty');
  t.equal(refusal([Buffer.alloc(0), Buffer.alloc(0)])?.code, 'batch_empty');
});

await t.test('a batch that does not end with a newline is refused', async (t) => {
  t.equal(refusal([Buffer.from('a\nb')])?.code, 'batch_unterminated');
  t.equal(
    refusal([Buffer.from('a\n'), Buffer.from('b'), Buffer.alloc(0)])?.code,
    'batch_unterminated',
  );
  t.equal(refusal([Buffer.from('a'), Buffer.from('\n'), Buffer.alloc(0)]), undefined);
});

await t.test('bytes that are no text, carriage returns and empty lines are messages', async (t) => {
  t.equal(refusal([Buffer.from([0xff, 0x00, 0x0d, 0x0a])]), undefined);
  t.equal(refusal([Buffer.from('\n\n\n')]), undefined);
});
