import { gzipSync } from 'node:zlib';
import { createDoorSource, defaultOptions, TestDoor } from '@chukcha/http-door/testing';
import type { InputContext } from '@chukcha/plugin-api';
import { inputConformance } from '@chukcha/plugin-api/conformance';
import t, { type Test } from 'tap';
import listPlugins from '../src/hook.js';
import { plugin } from '../src/index.js';
import { open } from '../src/splunk-input.js';

const options = defaultOptions(plugin.options);
const eventPath = '/services/collector/event';

function startInput(
  t: Test,
  given: object = {},
  context: Partial<InputContext> = {},
): Promise<TestDoor> {
  return TestDoor.start(t, open, { ...options, ...given }, context);
}

t.test('conformance, with raw events', async (t) => {
  const newline = Buffer.from('\n');
  const suite = {
    remembers: false,
    endless: true,
    createSource: async (lines: readonly Uint8Array[]) =>
      createDoorSource(open, options, '/services/collector/raw', lines, (some) =>
        Buffer.concat(some.flatMap((line) => [line, newline])),
      ),
  };
  for (const { name, run } of inputConformance(suite)) t.test(name, run);
});

t.test('the package offers the plugin', async (t) => {
  t.same(await listPlugins(), [plugin]);
  t.same(plugin.parseAddress?.('8088'), { port: 8088 });
  t.throws(() => plugin.parseAddress?.('x'), /splunk:<port>/);
});

t.test('events one after the other become lines with all that the client said', async (t) => {
  const door = await startInput(t, { tokens: ['secret'] });
  const headers = { Authorization: 'Splunk secret', 'Content-Encoding': 'gzip' };
  const body =
    '{"time": 1764000000.123, "host":"h", "event": {"a": [1, 2]}}{"event":"text\\n"}\n\n{"event":1,"fields":{}}';
  for (const path of [eventPath, '/services/collector', `${eventPath}/1.0`]) {
    const sent = door.send(path, gzipSync(body), headers);
    t.equal(
      await door.accept(),
      '{"time":1764000000.123,"host":"h","event":{"a":[1,2]}}\n{"event":"text\\n"}\n{"event":1,"fields":{}}\n',
    );
    t.match(await sent, { status: 200, body: { text: 'Success', code: 0 } });
  }
  const array = door.send(eventPath, '[{"event":1}, {"event":2}]', {
    Authorization: 'Splunk secret',
  });
  t.equal(await door.accept(), '{"event":1}\n{"event":2}\n');
  t.equal((await array).status, 200);
});

t.test('a wrong event refuses the whole request and is named', async (t) => {
  const door = await startInput(t, { body_bytes_max: 4096 }, { messageBytesMax: 64 });
  for (const [name, body, status, code, place, text] of [
    ['nothing', '', 400, 5, undefined, /empty/],
    ['white space', ' \n', 400, 5, undefined, /No data/],
    ['no JSON', '{"event":1}\nplain', 400, 6, 1, /Event 1, .*expected an object/],
    ['cut', '{"event":1}{"event":', 400, 6, 1, /Event 1, .*a value/],
    ['no event', '{"host":"h"}', 400, 6, 0, /no member "event"/],
    ['a blank event', '{"event":1}{"event":""}', 400, 6, 1, /is blank/],
    ['a broken array', '[{"event":1},', 400, 6, 1, /Event 1/],
    ['too long', `{"event":"${'x'.repeat(64)}"}`, 413, 27, 0, /more than 64 bytes/],
    ['not UTF-8', Buffer.from([0x7b, 0xff]), 400, 6, 0, /UTF-8/],
    ['too large', ' '.repeat(5000), 413, 27, undefined, /4096/],
  ] as const) {
    const answer = await door.send(eventPath, body);
    t.equal(answer.status, status, name);
    t.match(answer.body, { code, text }, name);
    t.equal((answer.body as Record<string, unknown>)['invalid-event-number'], place, name);
  }
  const raw = await door.send('/services/collector/raw', `ok\n${'x'.repeat(64)}\n`);
  t.match(raw, { status: 413, body: { code: 27, 'invalid-event-number': 1, text: /^Line 2/ } });
});

t.test('raw lines stay as they are, and the index can name the category', async (t) => {
  const door = await startInput(t, { category_from_index: true });
  const raw = door.send('/services/collector/raw/1.0?index=web.access&host=h', 'one\r\n\ntwo');
  const batch = await door.next();
  t.equal(batch.category, 'web_access');
  t.equal(Buffer.from(batch.bytes).toString(), 'one\r\n\ntwo\n');
  await batch.ack();
  t.equal((await raw).status, 200);
  const sent = door.send(eventPath, '{"event":1,"index":"a"}{"event":2}{"event":3,"index":"a"}');
  const batches = [await door.next(), await door.next()];
  t.same(
    batches.map(({ category, bytes }) => [category, Buffer.from(bytes).toString()]),
    [
      ['a', '{"event":1,"index":"a"}\n{"event":3,"index":"a"}\n'],
      [undefined, '{"event":2}\n'],
    ],
  );
  await batches[0]?.ack();
  await batches[1]?.nack(new Error('no'));
  t.match(await sent, { status: 503, body: { code: 9, text: /0, 2 were accepted, 1 were not/ } });
});

t.test(
  'health, credentials, acknowledgement and wrong calls are answered as clients know it',
  async (t) => {
    const door = await startInput(t, { tokens: ['secret'] });
    const headers = { Authorization: 'Splunk secret' };
    const ask = (path: string, method: string, given = headers): ReturnType<TestDoor['send']> =>
      door.send(path, undefined, given, { method });
    t.match(await ask('/services/collector/health', 'GET'), { status: 200, body: { code: 17 } });
    t.match(await ask('/services/collector/ack?channel=x', 'POST'), {
      status: 400,
      body: { code: 14, text: /^ACK is disabled: an answer of 200/ },
    });
    t.match(await ask(eventPath, 'GET'), { status: 405 });
    t.match(await ask('/services/other', 'POST'), { status: 404, body: { text: /raw/ } });
    t.match(await door.send(eventPath, '{}'), { status: 401, body: { code: 2 } });
    t.match(await door.send(eventPath, '{}', { Authorization: 'Splunk wrong' }), {
      status: 401,
      body: { code: 4 },
    });
    door.abort();
    await door.iterator.next();
    t.match(await door.send(eventPath, '{"event":1}', headers), { status: 503, body: { code: 9 } });
  },
);
