import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { resolveNodeOptions } from '../../src/node/node-options.js';
import { startNode } from '../../src/node/start-node.js';
import {
  EtcdProcess,
  type EtcdProcessOptions,
  reasonWithoutEtcd,
} from '../support/etcd-process.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { TestAuthority } from '../support/test-certificates.js';
import { openEtcdCoordinator, untilSeen, valuesOf } from '../support/test-coordinators.js';
import { testDirectory } from '../support/test-directory.js';
import { startTestNode } from '../support/test-node.js';
import { until } from '../support/until.js';

const user = 'chukcha';
const password = 'only etcd knows';
const prefix = '/chukcha/';

async function startAskingEtcd(t: Test, options: EtcdProcessOptions = {}): Promise<EtcdProcess> {
  // The real cost of a password is a tenth of a second, which a busy machine makes a second.
  const words = ['--bcrypt-cost', '4', ...(options.words ?? [])];
  const etcd = await EtcdProcess.start({ ...options, words });
  t.teardown(() => etcd.close());
  await etcd.askWhoCalls(user, password, prefix);
  return etcd;
}

async function testExpiry(t: Test, words: readonly string[]): Promise<void> {
  const etcd = await startAskingEtcd(t, { words });
  const options = { credentials: () => ({ user, password }), reconcileIntervalMs: 60_000 };
  const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, options);
  for (const value of ['1', '2', '3']) {
    // Longer than a token lives; etcd looks for old ones once a second.
    await delay(2_300);
    const version = coordinator.get('a')?.version ?? 'absent';
    t.match(await coordinator.put('a', value, version), { done: true }, `change ${value}`);
  }
  t.same(
    log.entries.filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  );
}

const tests: Record<string, (t: Test) => Promise<void>> = {
  'a user of etcd with a password sees and changes the table, and holds entries': async (t) => {
    const etcd = await startAskingEtcd(t);
    const credentials = () => ({ user, password });
    const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, { credentials });
    const other = await openEtcdCoordinator(t, etcd.url, { credentials });
    t.match(coordinator.status, {
      isAvailable: true,
      problem: undefined,
      isCurrent: true,
    });
    t.match(await coordinator.put('a', '1', 'absent'), { done: true });
    t.match(await coordinator.hold('alive/x', 'me', () => false), { done: true });
    await untilSeen(other.coordinator, () => other.coordinator.get('alive/x') !== undefined);
    // The lease of a test lasts 1 s and is renewed three times in it.
    await delay(2_500);
    t.same(valuesOf(other.coordinator), { a: '1', 'alive/x': 'me' });
    t.same(
      log.entries.filter(({ level }) => level === 'warn' || level === 'error'),
      [],
    );
  },

  'simple tokens that etcd has forgotten are replaced before anybody notices': (t) =>
    testExpiry(t, ['--auth-token-ttl', '1']),

  'signed tokens that are past their time are replaced before anybody notices': (t) => {
    const directory = testDirectory(t);
    const [key, publicKey] = [join(directory, 'jwt.key'), join(directory, 'jwt.pem')];
    execFileSync('openssl', ['genrsa', '-out', key, '2048'], { stdio: 'pipe' });
    execFileSync('openssl', ['rsa', '-in', key, '-pubout', '-out', publicKey], { stdio: 'pipe' });
    const keys = `pub-key=${publicKey},priv-key=${key}`;
    return testExpiry(t, ['--auth-token', `jwt,${keys},sign-method=RS256,ttl=1s`]);
  },

  // Without its token a call counts for etcd as one of the common name of the certificate, who has no rights.
  'a user who shows a certificate too gets his token when etcd begins to ask, and when it has forgotten it':
    async (t) => {
      const authority = new TestAuthority(testDirectory(t), 'ca');
      const { caPath } = authority;
      // etcd takes calls as JSON only while its own certificate has no common name.
      const server = authority.issue('etcd', '/O=etcd');
      const etcd = await EtcdProcess.start({
        tls: { ...server, caPath },
        words: ['--bcrypt-cost', '4'],
      });
      t.teardown(() => etcd.close());
      const node = authority.issue('node1');
      const [ca, cert, key] = [authority.ca, node.cert, node.key].map((pem) => Buffer.from(pem));
      const tls = { ca, cert, key } as { ca: Buffer; cert: Buffer; key: Buffer };
      const credentials = () => ({ user, password, ...tls });
      const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, { credentials });
      t.match(await coordinator.put('a', '0', 'absent'), { done: true }, 'while nobody is asked');
      await etcd.askWhoCalls(user, password, prefix);
      for (const value of ['1', '2', '3']) {
        const version = coordinator.get('a')?.version ?? 'absent';
        t.match(await coordinator.put('a', value, version), { done: true }, `change ${value}`);
        // Tokens that were given before are of no use then.
        await etcd.changePassword(user, password);
      }
      t.same(
        log.entries.filter(({ level }) => level === 'warn' || level === 'error'),
        [],
      );
    },

  'a restart of etcd, which loses all tokens, is an outage like others': async (t) => {
    const etcd = await startAskingEtcd(t);
    const credentials = () => ({ user, password });
    const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, { credentials });
    await coordinator.put('a', '1', 'absent');
    await etcd.kill();
    await etcd.restart();
    await untilSeen(coordinator, () => coordinator.status.isAvailable);
    const version = coordinator.get('a')?.version ?? 'absent';
    await until(async () => (await coordinator.put('a', '2', version)).done);
    const warnings = log.entries.filter(({ level }) => level === 'warn');
    for (const { sentence } of warnings) t.match(sentence, 'etcd cannot be reached');
  },

  'a wrong password is told once, with what mends it, and the right one is taken later': async (
    t,
  ) => {
    const etcd = await startAskingEtcd(t);
    let given = 'wrong';
    const credentials = () => ({ user, password: given });
    const options = { credentials, openMsMax: 1_000 };
    const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, options);
    await untilSeen(coordinator, () => coordinator.status.isDenied === true);
    t.match(coordinator.status, { isAvailable: false, isCurrent: false });
    await t.rejects(coordinator.put('a', '1', 'absent'), {
      code: 'coordination_unavailable',
      message: /authentication failed.*check --etcd-user .*Nothing was changed/s,
    });
    await delay(1_500);
    t.equal(log.entries.length, 1, 'one line for many tries');
    t.match(log.entries[0], {
      level: 'warn',
      sentence: 'etcd does not let this node in: changes of the cluster wait, the rest goes on.',
      fields: { reason: /invalid user ID or password \(check --etcd-user/ },
    });
    t.notMatch(JSON.stringify([log.entries, coordinator.status]), given);
    given = password;
    await untilSeen(coordinator, () => coordinator.status.isAvailable);
    t.match(await coordinator.put('a', '1', 'absent'), { done: true });
  },

  'a password that is changed in etcd locks out, and the new one lets in again': async (t) => {
    const etcd = await startAskingEtcd(t);
    let given = password;
    const credentials = () => ({ user, password: given });
    const options = { credentials, reconcileIntervalMs: 100 };
    const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, options);
    await etcd.changePassword(user, 'another one');
    await untilSeen(coordinator, () => coordinator.status.isDenied === true);
    given = 'another one';
    await untilSeen(coordinator, () => coordinator.status.isAvailable);
    t.same(
      log.entries.map(({ sentence }) => sentence),
      [
        'etcd does not let this node in: changes of the cluster wait, the rest goes on.',
        'etcd is back.',
      ],
    );
  },

  'a user without the right to write is told what is missing': async (t) => {
    const etcd = await EtcdProcess.start();
    t.teardown(() => etcd.close());
    await etcd.askWhoCalls(user, password, '/other/');
    const options = { credentials: () => ({ user, password }), openMsMax: 1_000 };
    const { coordinator } = await openEtcdCoordinator(t, etcd.url, options);
    await untilSeen(coordinator, () => coordinator.status.isDenied === true);
    t.match(coordinator.status, {
      problem: /permission denied .*let chukcha read and write all below \/chukcha\/test\//,
    });
  },

  'who asks nobody is joined with a user too, and goes on when it begins to ask': async (t) => {
    const etcd = await EtcdProcess.start({ words: ['--bcrypt-cost', '4'] });
    t.teardown(() => etcd.close());
    const options = { credentials: () => ({ user, password }), reconcileIntervalMs: 100 };
    const { coordinator, log } = await openEtcdCoordinator(t, etcd.url, options);
    t.match(await coordinator.put('a', '1', 'absent'), { done: true });
    await etcd.askWhoCalls(user, password, prefix);
    t.match(await coordinator.put('b', '1', 'absent'), { done: true });
    t.same(
      log.entries.filter(({ level }) => level === 'warn' || level === 'error'),
      [],
    );
  },

  'etcd by TLS with certificates of both sides takes a node, and no stranger': async (t) => {
    const directory = testDirectory(t);
    const authority = new TestAuthority(directory, 'ca');
    const { certPath, keyPath } = authority.issue('etcd');
    const etcd = await EtcdProcess.start({ tls: { certPath, keyPath, caPath: authority.caPath } });
    t.teardown(() => etcd.close());
    const own = authority.issue('node');
    const node = await startTestNode(join(directory, 'data'), {
      etcd: etcd.url,
      'etcd-ca': authority.caPath,
      'etcd-cert': own.certPath,
      'etcd-key': own.keyPath,
    });
    t.ok((await etcd.read('/chukcha/chukcha/members/')).has('/chukcha/chukcha/members/node1'));
    await node.close();
    const strangers = {
      'no certificate': { ca: Buffer.from(authority.ca) },
      'another authority': { ca: Buffer.from(new TestAuthority(directory, 'other').ca) },
    };
    for (const [name, credentials] of Object.entries(strangers)) {
      const options = { credentials: () => credentials, openMsMax: 500 };
      const { coordinator } = await openEtcdCoordinator(t, etcd.url, options);
      t.equal(coordinator.status.isCurrent, false, name);
      t.match(coordinator.status.problem, /certificate|alert|ECONNRESET|closed|hang up/i, name);
    }
  },

  'a node joins with the password of its file, and says why when it is wrong': async (t) => {
    const etcd = await startAskingEtcd(t);
    const directory = testDirectory(t);
    const passwordPath = join(directory, 'password');
    const options = resolveNodeOptions({
      data: join(directory, 'data'),
      listen: '127.0.0.1:0',
      name: 'node1',
      'disk-reserve': '0',
      etcd: etcd.url,
      'etcd-user': user,
      'etcd-password-file': passwordPath,
    });
    const log = new RecordingLogger();
    await t.rejects(startNode(options, { log }), { code: 'invalid_option', message: /password/ });
    writeFileSync(passwordPath, 'a-secret-that-is-wrong\n');
    const error = await startNode(options, { log }).then(
      () => t.fail('the node has started'),
      (thrown: Error) => thrown,
    );
    t.match(error, {
      code: 'coordination_unavailable',
      message: /does not let it in .*authentication failed.*check --etcd-user/,
    });
    writeFileSync(passwordPath, `${password}\n`);
    const node = await startNode(options, { log });
    const status = await (await fetch(`${node.url}/status`)).text();
    const metrics = await (await fetch(`${node.url}/metrics`)).text();
    await node.close();
    t.match(status, '"available":true');
    const told = JSON.stringify([log.entries, String(error), status, metrics]);
    for (const secret of ['a-secret-that-is-wrong', password]) t.notOk(told.includes(secret));
  },
};

await t.test('etcd that asks who calls', { skip: reasonWithoutEtcd() }, async (t) => {
  t.jobs = 4;
  await Promise.all(
    Object.entries(tests).map(([name, run]) => t.test(name, { buffered: true }, run)),
  );
});

await t.test('options for etcd that do not fit together are refused', async (t) => {
  const wrong: [given: Record<string, unknown>, message: RegExp][] = [
    [{ etcd: 'http://a:1', 'etcd-user': 'x' }, /--etcd-password-file one is missing/],
    [{ etcd: 'https://a:1', 'etcd-cert': 'x' }, /--etcd-key one is missing/],
    [{ etcd: 'http://a:1,https://b:1', 'etcd-ca': 'x' }, /not all https/],
    [{ etcd: 'https://root:pass-word@a:1' }, /--etcd-user and --etcd-password-file/],
  ];
  for (const [given, message] of wrong) {
    try {
      resolveNodeOptions(given);
      t.fail('it was taken');
    } catch (error) {
      t.match(error, { code: 'invalid_option', message });
      t.notMatch(String(error), /pass-word/);
    }
  }
});
