import type { CheckStep, Output, PluginError, PluginOptions } from '@chukcha/plugin-api';
import { pluginErrorKind } from '@chukcha/plugin-api';
import { createTestOutputContext } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { check, open } from '../src/clickhouse-output.js';
import { OldServer, reasonWithoutServer } from './support/old-server.js';
import { createBatch, withDefaults } from './support/plugin-options.js';

// A trial: whether a real server of 2018, with its own HTTP, takes what the output sends. It is skipped where there is
// none, in CI too, because the engine that the other tests run is the one that matters.
const skip = reasonWithoutServer();
if (skip !== false) t.comment(`SKIPPED: ${skip}`);

const never = new AbortController().signal;

t.test('a real server that is very old', { skip }, async (t) => {
  const password = 'päss:word';
  const server = await OldServer.start(password);
  t.teardown(() => server.close());
  const options = { host: '127.0.0.1', port: server.port, password, deduplicate: false };
  const openHere = (more: PluginOptions): Promise<Output> =>
    open(
      withDefaults({ ...options, create_table: true, ...more }),
      createTestOutputContext({ sample: async () => Buffer.from('{"id":1,"message":"m"}\n') }),
    );
  const ask = async (statement: string): Promise<string> => {
    const credentials = Buffer.from(`default:${password}`).toString('base64');
    const answer = await fetch(`http://127.0.0.1:${server.port}/`, {
      method: 'POST',
      body: statement,
      headers: { authorization: `Basic ${credentials}` },
    });
    return (await answer.text()).trim();
  };

  for (const compression of ['none', 'gzip']) {
    const output = await openHere({ table: compression, compression });
    const messages = Array.from({ length: 50_000 }, (_, id) => `{"id":${id},"message":"m${id}"}`);
    t.equal(await output.write(createBatch(messages), never), undefined);
    messages[30_000] = '{"id":"bad","message":"m"}';
    messages[40_000] = 'bad';
    const outcome = await output.write(createBatch(messages), never);
    t.same(
      outcome?.failures.map(({ index }) => index),
      [30_000, 40_000],
    );
    t.equal(await ask(`SELECT count() FROM ${compression}`), '99998');
    const error = await thrownBy(output.write(createBatch(['{"id":1,"zone":"x"}']), never));
    t.equal(pluginErrorKind(error), 'operator');
    await ask(
      /ADD COLUMN.*String/.exec(error.message)?.[0].replace(/^/, `ALTER TABLE ${compression} `) ??
        '',
    );
    t.equal(await output.write(createBatch(['{"id":1,"zone":"x"}']), never), undefined);
    await output.close();
  }

  t.match(await thrownBy(openHere({ table: 'none', password: 'wrong' })), {
    kind: 'operator',
    message: /code 193, WRONG_PASSWORD.*CLICKHOUSE_PASSWORD/,
  });
  t.match(await thrownBy(openHere({ table: 'nothing', create_table: false })), {
    kind: 'operator',
    message: /UNKNOWN_TABLE.*CREATE TABLE/,
  });
  t.match(await thrownBy(openHere({ table: 'none', format: 'text' })), {
    kind: 'operator',
    message: /20\.12 or later/,
  });
  const named = await openHere({ table: 'none', deduplicate: true });
  t.match(await thrownBy(named.write(createBatch(['{"id":1}']), never)), {
    kind: 'operator',
    message: /UNKNOWN_SETTING.*deduplicate=false/,
  });
  await named.close();
  const steps: CheckStep[] = [];
  const given = withDefaults({ ...options, deduplicate: true, table: 'none' });
  for await (const step of check(given, createTestOutputContext())) steps.push(step);
  t.same(
    steps.map(({ name, result }) => `${name} ${result}`),
    [
      'reachable ok',
      'version failed',
      'table ok',
      'rights warning',
      'repetitions ok',
      'columns ok',
    ],
  );
});

async function thrownBy(promise: Promise<unknown>): Promise<PluginError> {
  try {
    await promise;
  } catch (error) {
    return error as PluginError;
  }
  throw new Error('Expected an error, and there was none.');
}
