import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { Client } from '../../src/client/client.js';
import { ConsumeStream } from '../../src/client/consume-stream.js';
import { ProduceStream } from '../../src/client/produce-stream.js';
import { resolveNodeOptions } from '../../src/node/node-options.js';
import { digestOf } from '../../src/server/access/access.js';
import {
  everyToken,
  expectedRefusal,
  type MatrixCall,
  matrixCalls,
  secretOf,
} from '../support/rights-matrix.js';
import { TestAuthority } from '../support/test-certificates.js';
import { line, TestCluster } from '../support/test-cluster.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { until } from '../support/until.js';

const token = 'chukcha_0123456789';
const fileOf = (value: string): string =>
  `tokens:\n  - name: all\n    sha256: ${digestOf(value).toString('hex')}\n    admin: ['*']\n`;

t.test('over TLS all calls and streams work, also in the lane, and large ones', async (t) => {
  const directory = testDirectory(t);
  const authority = new TestAuthority(directory, 'ca');
  const { certPath, keyPath } = authority.issue('node');
  const node = await startTestNode(join(directory, 'data'), {
    'tls-cert': certPath,
    'tls-key': keyPath,
  });
  t.teardown(() => node.close());
  t.match(node.url, /^https:/);
  const tls = { ca: authority.ca };
  const client = new Client({ server: node.url, tls });
  t.teardown(() => client.close());
  const large = Buffer.concat(
    Array.from({ length: 40 }, () => Buffer.concat([Buffer.alloc(99_999, 'x'), Buffer.from('\n')])),
  );
  const { chunk } = await client.write('logs', [large]);
  await client.write('logs', line('end'));
  const range = { chunk: chunk ?? '', offset: 0, byteCountMax: 10_000_000 };
  const read = await client.read('logs', range);
  t.equal(read.bytes.length, large.length + 4);
  for (const name of ['first', 'over the same connection']) {
    const inPlace = await client.read('logs', {
      ...range,
      takeBuffer: (byteCount) => Buffer.alloc(byteCount),
    });
    t.ok(inPlace.bytes.equals(read.bytes), name);
  }
  const options = { server: node.url, category: 'logs', tls };
  const produce = await ProduceStream.open(options);
  t.match(await produce.write([large]), { size: large.length });
  await produce.close();
  const consume = await ConsumeStream.open(options);
  for await (const event of consume) {
    t.equal(event.kind, 'data');
    break;
  }
  consume.close();
  t.match(await client.status(), { state: 'running' }, 'by the application');
  const stranger = new Client({ server: node.url });
  await t.rejects(stranger.live(), {
    code: 'server_unreachable',
    message: /self.signed|unable to/i,
  });
});

t.test('with an authority for clients nobody connects without a certificate of it', async (t) => {
  const directory = testDirectory(t);
  const authority = new TestAuthority(directory, 'ca');
  const other = new TestAuthority(directory, 'other');
  const { certPath, keyPath } = authority.issue('node');
  const node = await startTestNode(join(directory, 'data'), {
    'tls-cert': certPath,
    'tls-key': keyPath,
    'tls-client-ca': authority.caPath,
  });
  t.teardown(() => node.close());
  const clientWith = (tls: object): Client =>
    new Client({ server: node.url, tls: { ca: authority.ca, ...tls } });
  const { cert, key } = authority.issue('client');
  const good = clientWith({ cert, key });
  t.match(await good.live(), { node: 'node1' });
  good.close();
  await t.rejects(clientWith({}).live(), { code: 'server_unreachable' });
  const { cert: wrong, key: wrongKey } = other.issue('client');
  await t.rejects(clientWith({ cert: wrong, key: wrongKey }).live(), {
    code: 'server_unreachable',
  });
});

t.test(
  'over mutual TLS every call takes a certificate and then a token with its right',
  async (t) => {
    const directory = testDirectory(t);
    const authority = new TestAuthority(directory, 'ca');
    const { certPath, keyPath } = authority.issue('node');
    const tokensPath = join(directory, 'tokens.yaml');
    const entries = everyToken.map(({ name, digest, patterns }) => ({
      name,
      sha256: digest.toString('hex'),
      ...patterns,
    }));
    await writeFile(tokensPath, JSON.stringify({ tokens: entries }));
    const node = await startTestNode(join(directory, 'data'), {
      'tls-cert': certPath,
      'tls-key': keyPath,
      'tls-client-ca': authority.caPath,
      tokens: tokensPath,
    });
    t.teardown(() => node.close());
    const { cert, key } = authority.issue('client');
    const { cert: strangeCert, key: strangeKey } = new TestAuthority(directory, 'other').issue('x');
    const agentWith = (tls: object): Agent => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.ca, ...tls });
      t.teardown(() => agent.destroy());
      return agent;
    };
    const known = agentWith({ cert, key });
    const strangers = [agentWith({}), agentWith({ cert: strangeCert, key: strangeKey })];
    for (const one of matrixCalls()) {
      const label = `${one.method} ${one.path}`;
      for (const agent of strangers) {
        await t.rejects(
          statusOver(agent, node.url, one, 'admin-all'),
          `${label} without certificate`,
        );
      }
      for (const name of [
        undefined,
        'unknown',
        'nothing',
        one.right,
        `${one.right}-all`,
        'admin-all',
      ]) {
        const status = await statusOver(known, node.url, one, name);
        const expected = expectedRefusal(name, one);
        if (expected === undefined)
          t.notOk([401, 403, 500].includes(status), `${label} with ${name}`);
        else t.equal(status, expected, `${label} with ${name}`);
      }
    }
  },
);

function statusOver(
  agent: Agent,
  url: string,
  { method, path, body }: MatrixCall,
  name: string | undefined,
): Promise<number> {
  const headers = name === undefined ? {} : { Authorization: `Bearer ${secretOf(name)}` };
  return new Promise((resolve, reject) => {
    const outgoing = request(url + path, { agent, method, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

t.test('files that change are taken in; one that is not valid is refused', async (t) => {
  const directory = testDirectory(t);
  const authority = new TestAuthority(directory, 'ca');
  const [first, second] = [authority.issue('first'), authority.issue('second')];
  const [certPath, keyPath, tokens] = ['c.pem', 'k.pem', 't.yaml'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  await copyFile(first.certPath, certPath);
  await copyFile(first.keyPath, keyPath);
  await writeFile(tokens, fileOf(token));
  const node = await startTestNode(join(directory, 'data'), {
    'tls-cert': certPath,
    'tls-key': keyPath,
    tokens,
  });
  t.teardown(() => node.close());
  const live = async (value: string): Promise<unknown> => {
    const client = new Client({ server: node.url, token: value, tls: { ca: authority.ca } });
    return client
      .status()
      .then(
        ({ state }) => state,
        ({ code }) => code,
      )
      .finally(() => client.close());
  };
  t.equal(await live(token), 'running');
  t.equal(await live('chukcha_other'), 'unauthorized');
  await writeFile(tokens, 'tokens: [');
  await node.reload();
  t.equal(await live(token), 'running', 'the old file stays in force');
  await writeFile(tokens, fileOf('chukcha_other'));
  await until(async () => (await live('chukcha_other')) === 'running');
  t.equal(await live(token), 'unauthorized');
  t.equal(await shownName(node.url, authority.ca), 'first');
  await copyFile(second.certPath, certPath);
  await node.reload();
  t.equal(await shownName(node.url, authority.ca), 'first', 'not with the key of another one');
  await copyFile(second.keyPath, keyPath);
  await node.reload();
  t.equal(await shownName(node.url, authority.ca), 'second');
});

function shownName(url: string, ca: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

t.test(
  'nodes replicate over TLS with their certificates and the secret of the cluster',
  async (t) => {
    const cluster = new TestCluster(t);
    const directory = cluster.directory('files');
    await mkdir(directory);
    const authority = new TestAuthority(directory, 'ca');
    const stranger = new TestAuthority(directory, 'stranger');
    const [secret, wrong, tokens] = ['s', 'w', 't.yaml'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(secret, `${'s'.repeat(40)}\n`);
    await writeFile(wrong, 'w'.repeat(40));
    await writeFile(tokens, fileOf(token));
    const start = (name: string, of = authority, secretPath = secret) => {
      const { certPath, keyPath, cert, key } = of.issue(name);
      const options = {
        'tls-cert': certPath,
        'tls-key': keyPath,
        'tls-client-ca': of.caPath,
        tokens,
        'cluster-secret-file': secretPath,
      };
      return cluster.start(name, options, false, { token, tls: { ca: of.ca, cert, key } });
    };
    const { client: a } = await start('a');
    await start('b');
    await until(
      async () =>
        (await a.status()).clusterStatus?.members.some(({ self, sending }) => !self && sending) ===
        true,
    );
    t.match(await a.write('logs', line('x'), { minSyncReplicas: 1 }), { size: 2 });
    const { client: c } = await start('c', stranger);
    const { client: d } = await start('d', authority, wrong);
    const problems = async (client: Client) =>
      ((await client.status()).clusterStatus?.members ?? []).flatMap(({ self, problem }) =>
        self ? [] : [problem ?? ''],
      );
    await until(
      async () => (await problems(c)).filter((text) => /cannot be reached/.test(text)).length >= 2,
    );
    await until(
      async () =>
        (await problems(d)).filter((text) => /secret of the cluster/.test(text)).length >= 2,
    );
    for (const strange of [c, d]) {
      await t.rejects(strange.write('logs', line('y'), { minSyncReplicas: 1 }), {
        code: 'too_few_replicas',
      });
    }
    const said = JSON.stringify([
      await a.status(),
      [...cluster.members.values()].map(({ log }) => log),
    ]);
    t.notMatch(said, /s{40}|w{40}|chukcha_0123/);
  },
);

t.test('an address that others reach needs TLS and tokens', (t) => {
  const refuse = (given: object, message: RegExp): void => {
    t.throws(() => resolveNodeOptions({ data: 'd', ...given }), {
      code: 'invalid_option',
      message,
    });
  };
  const tls = { 'tls-cert': 'c', 'tls-key': 'k' };
  for (const listen of [
    '0.0.0.0:1',
    '[::]:1',
    '10.0.0.1:1',
    'node1.example:1',
    '127.0.0.1.example:1',
  ]) {
    refuse({ listen }, /give TLS .* and tokens .*--insecure-listen/);
    refuse({ listen, ...tls }, /give tokens/);
    refuse({ listen, tokens: 't' }, /give TLS/);
    t.ok(resolveNodeOptions({ listen, ...tls, tokens: 't' }));
    t.ok(resolveNodeOptions({ listen, 'insecure-listen': 'true' }));
  }
  for (const listen of ['127.0.0.1:1', '[::1]:1', 'localhost:1', '127.1.2.3:1'])
    t.ok(resolveNodeOptions({ listen }));
  refuse({ 'tls-cert': 'c' }, /needs both/);
  refuse({ 'tls-client-ca': 'c' }, /needs TLS/);
  refuse({ tokens: 't', etcd: 'http://x:1' }, /--cluster-secret-file/);
  t.end();
});
