import { join } from 'node:path';
import { type Output, PluginError } from '@chukcha/plugin-api';
import t, { type Test } from 'tap';
import { systemClock } from '../../src/common/clock.js';
import { systemRandom } from '../../src/common/random.js';
import { Client } from '../../src/index.js';
import {
  type DeadLetter,
  DeadLetterParser,
  deadLetterId,
  formatDeadLetter,
} from '../../src/pipeline/dead-letter.js';
import { DeadLetterBox } from '../../src/pipeline/dead-letter-box.js';
import { DeadLetterDrawer, type LetterFate } from '../../src/pipeline/dead-letter-drawer.js';
import { LetterDelivery } from '../../src/pipeline/letter-delivery.js';
import { messageBytesMax } from '../../src/protocol/limits.js';
import { runCli } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';

const never = new AbortController().signal;

function letter(message: string | Buffer, offset = 0, reason = 'No such column.'): DeadLetter {
  const place = {
    cluster: 'c1',
    category: 'logs',
    chunk: 'node1-chunk000000000',
    offset,
    group: 'default',
  };
  return {
    id: deadLetterId(place),
    time: '2026-11-25T12:00:00.000Z',
    reason,
    target: 'clickhouse',
    ...place,
    message: Buffer.isBuffer(message) ? message : Buffer.from(message),
  };
}

function parseAll(lines: Buffer): (DeadLetter | undefined)[] {
  const parser = new DeadLetterParser();
  const parts = lines.toString().split('\n').slice(0, -1);
  return parts.map((line) => parser.take(line)).filter((found) => found !== undefined);
}

async function startBed(
  t: Test,
): Promise<{ client: Client; drawer: DeadLetterDrawer; box: DeadLetterBox; url: string }> {
  const node = await startTestNode(join(testDirectory(t), 'data'));
  const client = new Client({ server: node.url });
  t.teardown(async () => {
    client.close();
    await node.close();
  });
  const box = new DeadLetterBox(client, {
    onRetry: undefined,
    giveUpAfterMs: 0,
    clock: systemClock,
    random: systemRandom,
  });
  return { client, box, url: node.url, drawer: new DeadLetterDrawer(client, 'logs_dlq') };
}

async function read(drawer: DeadLetterDrawer): Promise<string[]> {
  const found: string[] = [];
  for await (const item of drawer.letters(never)) found.push(item?.message.toString() ?? '?');
  return found;
}

t.test(
  'a letter gives its message back, whatever bytes it has and however large it is',
  async (t) => {
    for (const message of [
      'plain\n',
      '\n',
      '{"json":"\\u0000 \\" \u{1f600}"}\r\n',
      Buffer.from([0xff, 0xfe, 0x00, 0x0a]),
      Buffer.from('\ufeffwith a mark\n'),
      Buffer.concat([Buffer.alloc(messageBytesMax - 1, 0x01), Buffer.from('\n')]),
      Buffer.concat([Buffer.alloc(messageBytesMax - 1, 'ab'), Buffer.from('\n')]),
    ]) {
      const sent = letter(message, 7, 'r'.repeat(10_000));
      const lines = formatDeadLetter(sent);
      for (const line of lines.toString().split('\n')) t.ok(line.length < messageBytesMax);
      const [found, ...others] = parseAll(lines);
      t.same(others, []);
      t.ok(found?.message.equals(sent.message));
      t.match(found, { id: sent.id, offset: 7, chunk: sent.chunk, target: 'clickhouse' });
    }
  },
);

t.test('lines that are no letters are told from them', async (t) => {
  const parser = new DeadLetterParser();
  for (const line of ['', 'text', 'null', '[]', '{}', '{"id":"x"}', '{"id":7,"time":"t"}']) {
    t.equal(parser.take(line), undefined);
  }
  t.equal(parser.strangeCount, 7);
});

t.test('a letter that is written again is there once', async (t) => {
  const { box, drawer } = await startBed(t);
  await box.write([letter('a\n'), letter('b\n', 2)], never);
  await box.write([{ ...letter('a\n'), time: '2026-11-25T13:00:00.000Z' }], never);
  t.same((await read(drawer)).sort(), ['a\n', 'b\n']);
});

t.test('letters that are seen to go, and the others stay', async (t) => {
  const { box, client, drawer } = await startBed(t);
  for (const [at, text] of ['a\n', 'b\n', 'c\n'].entries())
    await box.write([letter(text, at)], never);
  await client.write('logs_dlq', [Buffer.from('no letter\n')]);
  const fate = async ({ message }: DeadLetter): Promise<LetterFate> => {
    if (message.toString() === 'a\n') return { kind: 'done' };
    if (message.toString() === 'b\n') return { kind: 'kept' };
    return { kind: 'kept', letter: letter('c\n', 2, 'It is still too long.') };
  };
  t.same(await drawer.seeTo(fate, never), { done: 1, kept: 2, strange: 1 });
  t.same((await read(drawer)).sort(), ['?', 'b\n', 'c\n']);
  const reasons: string[] = [];
  for await (const item of drawer.letters(never)) if (item) reasons.push(item.reason);
  t.same(reasons.sort(), ['It is still too long.', 'No such column.']);
  t.same(await drawer.seeTo(async () => ({ kind: 'done' }), never), {
    done: 2,
    kept: 0,
    strange: 1,
  });
  t.same(await read(drawer), ['?']);
});

t.test('a letter goes to its target under the place that its message had', async (t) => {
  const calls: unknown[] = [];
  const output: Output = {
    write: async ({ chunk, offset, bytes, token }) => {
      calls.push([chunk, offset, Buffer.from(bytes).toString(), token]);
      if (calls.length === 2) throw new PluginError('data', 'It is still bad.');
      return undefined;
    },
    close: async () => {},
  };
  const delivery = new LetterDelivery(output, never);
  const sent = letter('a\n', 5);
  t.same(await delivery.deliver(sent), { kind: 'done' });
  t.same(calls, [['node1-chunk000000000', 5, 'a\n', sent.id]]);
  t.match(await delivery.deliver(sent), { kind: 'kept', letter: { reason: 'It is still bad.' } });
});

t.test('the commands list, show, replay and drop', async (t) => {
  const { box, client, url } = await startBed(t);
  const run = (...words: string[]) => runCli(['dlq', ...words, '--server', url]);
  t.match(await run('ls'), { exit: 0, stderr: /no dead letters/ });
  await box.write([letter('{"a":1}\n'), letter('\u001b[31mred\n', 8, 'A row is bad.')], never);
  const list = await run('ls');
  t.match(list.stdout.toString(), /LETTERS +TARGET +GROUP +LAST +REASON\n +1 +clickhouse/);
  t.equal(JSON.parse((await run('ls', '--json')).stdout.toString()).length, 2);
  const shown = (await run('show')).stdout.toString();
  t.match(shown, /message \{"a":1\}/);
  t.match(shown, /message \\u001b\[31mred/, 'a message cannot speak to the terminal');
  t.equal((await run('show', '--raw', '--reason', 'column')).stdout.toString(), '{"a":1}\n');
  t.match(await run('drop'), { exit: 2, stderr: /give their ids, --reason TEXT, or --all/ });
  t.match(await run('replay', '--reason', 'column'), { exit: 0, stderr: /Replayed 1 .* 1 stay/ });
  const { chunks } = await client.listChunks('logs');
  t.equal(chunks[0]?.size, 8, 'the message is in its category again');
  const printed = await run('replay', '--all', '--to', 'stdout');
  t.equal(printed.stdout.toString(), '\u001b[31mred\n');
  t.match(printed.stderr, /Replayed 1 /);
  await box.write([letter('x\n', 99)], never);
  t.match(await run('drop', letter('x\n', 99).id), { exit: 0, stderr: /Dropped 1 letters/ });
  t.match(await run('ls'), { stderr: /no dead letters/ });
});
