import { getEventListeners } from 'node:events';
import t, { type Test } from 'tap';
import { GroupLease } from '../../src/client/group-lease.js';
import { Client } from '../../src/index.js';
import { FakeClock } from '../support/fake-clock.js';
import { call, json, startServer } from '../support/test-server.js';

const holdMs = 15_000;

async function startBed(t: Test): Promise<{
  server: Awaited<ReturnType<typeof startServer>>;
  clock: FakeClock;
  reader: (holder: string) => { lease: GroupLease; standbys: string[] };
  pass: (ms: number) => Promise<void>;
}> {
  const server = await startServer({ directory: t.testdir() });
  const client = new Client({ server: server.url });
  t.teardown(async () => {
    client.close();
    await server.close();
  });
  const clock = new FakeClock();
  const reader = (holder: string) => {
    const standbys: string[] = [];
    const onStandby = (other: string): void => void standbys.push(other);
    const options = { category: 'logs', group: 'g', holder, clock, onStandby };
    return { lease: new GroupLease(client, options), standbys };
  };
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 500) {
      clock.advance(500);
      server.clock.advance(500);
      // Until the calls that this has begun are answered.
      for (let turn = 0; turn < 3; turn += 1) await call(server.url, '/livez');
    }
  };
  return { server, clock, reader, pass };
}

/** Work that goes on until it is stopped, and says whether it goes on. */
class Work {
  count = 0;
  isUnderWay = false;

  readonly run = async (signal: AbortSignal): Promise<string> => {
    this.count += 1;
    this.isUnderWay = true;
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    this.isUnderWay = false;
    return 'stopped';
  };
}

t.test('of two readers one works, and the other one goes on when it ends', async (t) => {
  const { reader, pass } = await startBed(t);
  const [first, second] = [new Work(), new Work()];
  const [stopFirst, stopSecond] = [new AbortController(), new AbortController()];
  const a = reader('a').lease.hold(stopFirst.signal, first.run);
  await pass(1_000);
  const { lease, standbys } = reader('b');
  const b = lease.hold(stopSecond.signal, second.run);
  await pass(30_000);
  t.same([first.isUnderWay, second.isUnderWay], [true, false]);
  t.same(standbys, ['a']);
  stopFirst.abort();
  t.equal(await a, 'stopped');
  await pass(holdMs + 5_000);
  t.same([first.isUnderWay, second.isUnderWay], [false, true]);
  stopSecond.abort();
  t.equal(await b, 'stopped');
});

t.test('a reader that loses its lease stops, and stands by', async (t) => {
  const { server, reader, pass } = await startBed(t);
  const work = new Work();
  const stop = new AbortController();
  const held = reader('a').lease.hold(stop.signal, work.run);
  await pass(1_000);
  t.equal(work.isUnderWay, true);
  // Somebody has taken it while this one could not be heard.
  await call(server.url, '/leases/g?category=logs&holder=a', { method: 'DELETE' });
  await call(server.url, '/leases/g?category=logs&holder=b&ttl_ms=20000', { method: 'PUT' });
  await pass(4_000);
  t.equal(work.isUnderWay, false);
  await pass(60_000);
  t.equal(work.isUnderWay, true, 'it works again when the other one is gone');
  t.equal(work.count, 2);
  stop.abort();
  t.equal(await held, 'stopped');
});

t.test('a reader that stands by ends at once when it is told to', async (t) => {
  const { server, reader, pass } = await startBed(t);
  await call(server.url, '/leases/g?category=logs&holder=z&ttl_ms=60000', { method: 'PUT' });
  const work = new Work();
  const stop = new AbortController();
  const held = reader('a').lease.hold(stop.signal, work.run);
  await pass(1_000);
  stop.abort();
  t.equal(await held, undefined);
  t.equal(work.count, 0);
});

t.test('a reader that works and stands by for long leaves nothing in its signal', async (t) => {
  const { reader, pass } = await startBed(t);
  const { signal } = new AbortController();
  // What follows a signal is in sets that hang on it; nothing takes out of them what is gone.
  const followerCount = (): number =>
    Object.getOwnPropertySymbols(signal)
      .map((name) => Reflect.get(signal, name) as { readonly size?: unknown } | undefined)
      .reduce((sum, value) => sum + (typeof value?.size === 'number' ? value.size : 0), 0);
  let end = (): void => undefined;
  const held = reader('a').lease.hold(
    signal,
    () => new Promise<void>((resolve) => (end = resolve)),
  );
  await pass(10_000);
  const standby = reader('b').lease.hold(signal, async () => undefined);
  await pass(20_000);
  end();
  await held;
  await pass(holdMs + 5_000);
  await standby;
  t.equal(followerCount(), 0);
  t.equal(getEventListeners(signal, 'abort').length, 0);
});

t.test('work that ends or fails gives the lease back', async (t) => {
  const { server, reader } = await startBed(t);
  const holder = async (): Promise<unknown> =>
    (json(await call(server.url, '/leases/g?category=logs')) as { holder: unknown }).holder;
  const { signal } = new AbortController();
  let during: unknown;
  const result = await reader('a').lease.hold(signal, async () => {
    during = await holder();
    return 7;
  });
  t.same([result, during, await holder()], [7, 'a', null]);
  const failing = reader('a').lease.hold(signal, async () => {
    throw new Error('It failed.');
  });
  await t.rejects(failing, { message: 'It failed.' });
  t.equal(await holder(), null);
});

t.test('without a node that answers, work goes on', async (t) => {
  const client = new Client({ server: 'http://127.0.0.1:1' });
  const options = { category: 'logs', group: 'g', holder: 'a', clock: new FakeClock() };
  const lease = new GroupLease(client, { ...options, onStandby: () => undefined });
  t.equal(await lease.hold(new AbortController().signal, async () => 'done'), 'done');
  client.close();
});

t.test('names and times that cannot be meant are refused', async (t) => {
  const { server } = await startBed(t);
  for (const [path, code] of [
    ['/leases/g?category=logs&ttl_ms=5', 'invalid_request'],
    ['/leases/g?category=logs&holder=a&ttl_ms=60001', 'invalid_request'],
    ['/leases/g?category=logs&holder=a%20b&ttl_ms=5', 'invalid_name'],
    ['/leases/g!?category=logs&holder=a&ttl_ms=5', 'invalid_name'],
    ['/leases/g?holder=a&ttl_ms=5', 'invalid_request'],
  ]) {
    t.match(json(await call(server.url, path ?? '', { method: 'PUT' })), { error: { code } });
  }
});
