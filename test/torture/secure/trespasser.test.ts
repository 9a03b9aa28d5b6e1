import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client } from '../../../src/client/client.js';
import type { RunningNode } from '../../../src/node/start-node.js';
import { Findings } from '../../../src/torture/batch-ledger.js';
import { Callers } from '../../../src/torture/callers.js';
import { ClusterSecurity } from '../../../src/torture/secure/cluster-security.js';
import { Trespasser } from '../../../src/torture/secure/trespasser.js';
import { listTrespasses, type Trespass } from '../../../src/torture/secure/trespasses.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testDirectory } from '../../support/test-directory.js';
import { startTestNode } from '../../support/test-node.js';

const place = {
  category: 'events',
  group: 'first',
  chunk: 'node1-chunk000000000',
  node: 'node2',
} as const;

/** Those of a lone node. */
const flagsOfNode = ['tls-cert', 'tls-key', 'tls-client-ca', 'tokens', 'cluster-secret-file'];

async function startSecure(
  t: Test,
  without: readonly string[] = [],
): Promise<{ security: ClusterSecurity; node: RunningNode }> {
  const directory = testDirectory(t);
  const security = await ClusterSecurity.create({
    directory: join(directory, 'security'),
    nodeNames: ['node1'],
    categories: ['events'],
    overlapMs: 0,
  });
  const words = security.nodeWords('node1');
  const options = flagsOfNode
    .filter((flag) => !without.includes(flag))
    .map((flag) => [flag, words[words.indexOf(`--${flag}`) + 1]]);
  const node = await startTestNode(join(directory, 'data'), Object.fromEntries(options));
  t.teardown(() => node.close());
  const writer = new Client({ server: node.url, ...security.credentials('writer') });
  t.teardown(() => writer.close());
  await writer.write('events', [Buffer.from('something to read\n')]);
  return { security, node };
}

async function tryAll(
  node: RunningNode,
  trespasses: readonly Trespass[],
): Promise<{ trespasser: Trespasser; letIn: Findings }> {
  const letIn = new Findings();
  const trespasser = new Trespasser({
    nodes: [node],
    trespasses: () => trespasses,
    letIn,
    random: new SeededRandom(1),
  });
  for (const trespass of trespasses) await trespasser.tryOne(trespass, node);
  return { trespasser, letIn };
}

t.setTimeout(120_000);

await t.test('a node with tokens and certificates refuses all that is tried', async (t) => {
  const { security, node } = await startSecure(t);
  const callers = new Callers((role) => security.credentials(role));
  t.teardown(() => callers.close());
  const reader = callers.client(node, 'reader');
  t.equal(callers.client(node, 'reader'), reader, 'as long as nothing changes');
  t.match(await reader?.listChunks('events'), { chunks: [{ name: place.chunk }] });
  const before = listTrespasses(security, place);
  const first = await tryAll(node, before);
  t.same(first.letIn.sentences, []);
  t.equal(first.trespasser.refusedCount, before.length);

  const { token: oldToken } = security.credentials('writer');
  await security.rotateTokens([node]);
  t.same([...security.notTaken.sentences, ...security.letIn.sentences], []);
  t.not(security.credentials('writer').token, oldToken);
  t.equal(security.withdrawnToken('writer'), oldToken);
  const withdrawn = listTrespasses(security, place).filter(({ summary }) =>
    summary.includes('a token that was withdrawn'),
  );
  t.equal(withdrawn.length, 8, 'what each role might do before');
  const second = await tryAll(node, withdrawn);
  t.same(second.letIn.sentences, []);
  t.equal(second.trespasser.refusedCount, withdrawn.length);
  t.not(callers.client(node, 'reader'), reader);
  t.match(await callers.client(node, 'reader')?.groups('events'), []);

  const { name, url } = node;
  const renewed = { name, url, reload: () => void node.reload() };
  await Promise.all([security.renewCertificate(renewed), security.renewCertificate(renewed)]);
  t.same(security.notTaken.sentences, [], 'the one before the last one is not missed');
  t.equal(security.certificateRenewalCount, 2);
  t.match(await callers.client(node, 'observer')?.status(), { state: 'running' });
});

await t.test('a node that asks nobody who he is lets everybody in, which is told', async (t) => {
  const { security, node } = await startSecure(t, [
    'tls-client-ca',
    'tokens',
    'cluster-secret-file',
  ]);
  const trespasses = listTrespasses(security, place);
  const { trespasser, letIn } = await tryAll(node, trespasses);
  // Without TLS nothing is understood all the same.
  t.equal(trespasser.refusedCount, 1);
  t.equal(trespasser.unansweredCount, 0);
  t.equal(letIn.count, trespasses.length - 1);
  t.match(letIn.sentences[0], /At node1, the writer tries to write elsewhere and was let in/);
});

await t.test('a node that cannot be reached lets nobody in', async (t) => {
  const { security, node } = await startSecure(t);
  const trespasses = listTrespasses(security, place);
  await node.close();
  const { trespasser, letIn } = await tryAll(node, trespasses);
  t.match([trespasser.refusedCount, letIn.count], [0, 0]);
  t.equal(trespasser.unansweredCount, trespasses.length);
});
