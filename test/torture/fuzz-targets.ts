import { readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { freePort } from '../../bench/support/free-port.js';
import type { SeededRandom } from '../../src/common/seeded-random.js';
import { digestOf } from '../../src/server/access/access.js';
import { CliNode, type CliResult, type CliRun, startCli } from '../support/cli.js';
import { EtcdProcess } from '../support/etcd-process.js';
import { TestAuthority } from '../support/test-certificates.js';
import { until } from '../support/until.js';
import { doorNames, fuzzDoorRequest, fuzzSyslog } from './fuzz-doors.js';
import { type FuzzFacts, fuzzRequest } from './fuzz-requests.js';
import { fuzzStream } from './fuzz-streams.js';

/** A process that is fuzzed. */
export interface FuzzTarget {
  readonly name: string;
  readonly pid: number;
  /** Bytes as latin1 for one connection, and whether they are HTTP. */
  makeText(random: SeededRandom): {
    readonly text: string;
    readonly port: number;
    readonly isHttp: boolean;
  };
  connect(port: number): Socket;
  /** The answer to a plain question that is asked after each seed; `undefined` when there is none. */
  ask(path: string): Promise<string | undefined>;
  stop(): Promise<CliResult>;
}

/** What is written is given up soon, so that what grows is not what is kept on purpose. */
const nodeFlags: readonly string[] = [
  ...['--disk-reserve', '0', '--max-chunk-size', '1MiB', '--retain-for', '1m', '--retain-size'],
  ...['32MiB', '--max-batch', '1MiB', '--replication-timeout', '1s', '--rotate-interval', '20s'],
];

const streamShare = 5;

/** A node that stands alone and asks for no token. */
export async function openNode(root: string): Promise<FuzzTarget> {
  const node = await CliNode.start(join(root, 'open'), nodeFlags);
  return nodeTarget('open', node, { authorizations: [], hello: {} });
}

/** A node with TLS that asks for tokens, of which several are known and some are enough. */
export async function guardedNode(root: string): Promise<FuzzTarget> {
  const authority = new TestAuthority(root, 'ca');
  const { certPath, keyPath } = authority.issue('node');
  const tokensPath = join(root, 'tokens.yaml');
  const entry = (name: string, rights: string): string =>
    `  - {name: ${name}, sha256: ${digestOf(`chukcha_${name}`).toString('hex')}, ${rights}}\n`;
  const entries = [
    entry('all', 'admin: ["*"]'),
    entry('writer', 'write: [logs]'),
    entry('reader', 'read: ["*"], ack: [a]'),
  ];
  await writeFile(tokensPath, `tokens:\n${entries.join('')}`);
  const tls = ['--tls-cert', certPath, '--tls-key', keyPath, '--tokens', tokensPath];
  const node = await CliNode.start(join(root, 'guarded'), [...nodeFlags, ...tls]);
  const all = 'Bearer chukcha_all';
  const basic = `Basic ${Buffer.from('x:chukcha_all').toString('base64')}`;
  const authorizations = [
    all,
    all,
    all,
    basic,
    'Bearer chukcha_writer',
    'Bearer chukcha_reader',
    'Bearer x',
  ];
  return nodeTarget('guarded', node, { authorizations, hello: {} }, authority.ca, all);
}

/** A member of a cluster, whose peer is played by the requests. */
export async function memberNode(root: string): Promise<FuzzTarget> {
  const etcd = await EtcdProcess.start();
  const flags = [...nodeFlags, '--etcd', etcd.url, '--cluster', 'fuzz'];
  const peerDirectory = join(root, 'peer');
  const node = await CliNode.start(join(root, 'member'), flags);
  const peer = await CliNode.start(peerDirectory, [...flags, '--name', 'node2']);
  const status = async (): Promise<string> => await (await fetch(`${node.url}/status`)).text();
  await until(async () => /"name":"node2"/.test(await status()));
  await peer.kill();
  const identity = JSON.parse(
    await readFile(join(peerDirectory, 'identity.json'), 'utf8'),
  ) as Record<string, string>;
  const { cluster } = JSON.parse(await status()) as { readonly cluster: string };
  const directory = identity['directoryId'] ?? identity['directory'] ?? '';
  const hello = { cluster, node: 'node2', directory, boot: 'fuzz', epoch: '99' };
  const target = nodeTarget('member', node, { authorizations: [], hello });
  return {
    ...target,
    stop: async () => {
      const result = await target.stop();
      await etcd.close();
      return result;
    },
  };
}

function nodeTarget(
  name: string,
  node: CliNode,
  facts: FuzzFacts,
  ca?: string,
  authorization?: string,
): FuzzTarget {
  const port = Number(node.port);
  const open = (to: number): Socket =>
    ca === undefined
      ? connect(to, '127.0.0.1')
      : connectTls({ port: to, host: '127.0.0.1', ca, checkServerIdentity: () => undefined });
  return {
    name,
    pid: node.pid,
    connect: open,
    makeText: (random) => {
      const isStream = random.integer(0, streamShare) === 0;
      const text = isStream ? fuzzStream(random, facts) : fuzzRequest(random, facts);
      return { text, port, isHttp: true };
    },
    ask: (path) => ask(() => open(port), path, authorization),
    stop: () => node.stop(),
  };
}

/** All inputs that are servers, in one process, in front of a node. */
export async function doors(root: string, nodeUrl: string): Promise<FuzzTarget> {
  const names = [...doorNames, 'syslog'];
  const ports = await Promise.all(names.map(() => freePort()));
  const ships = names.map(
    (name, index) =>
      `  ${name}: {from: ${name}, category: doors, options: {host: 127.0.0.1, port: ${ports[index]}, in_flight_bytes_max: 8388608}}\n`,
  );
  const file = join(root, 'doors.yaml');
  await writeFile(
    file,
    `server: ${nodeUrl}\nstate: ${join(root, 'state')}\nships:\n${ships.join('')}`,
  );
  const run = startCli(['run', file]);
  await listening(run, names.length);
  const open = (port: number): Socket => connect(port, '127.0.0.1');
  return {
    name: 'doors',
    pid: run.child.pid ?? 0,
    connect: open,
    makeText: (random) => {
      const index = random.integer(0, names.length - 1);
      const door = names[index] ?? '';
      const port = ports[index] ?? 0;
      if (door === 'syslog') return { text: fuzzSyslog(random), port, isHttp: false };
      return { text: fuzzDoorRequest(random, door), port, isHttp: true };
    },
    ask: () => ask(() => open(ports[0] ?? 0), '/health'),
    stop: () => {
      run.child.kill('SIGTERM');
      return run.result;
    },
  };
}

async function listening({ child, result }: CliRun, count: number): Promise<void> {
  let said = '';
  child.stderr.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  const ended = result.then(({ stderr }) => {
    throw new Error(`run ended: ${stderr}`);
  });
  await Promise.race([ended, until(async () => said.split('Listening.').length > count)]);
}

/** What a plain question is answered with; `undefined` when it is not answered with 200. */
function ask(
  open: () => Socket,
  path: string,
  authorization?: string,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = open();
    let answer = '';
    socket.on('data', (piece: Buffer) => {
      answer += piece.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.setTimeout(20_000, () => socket.destroy());
    socket.once('close', () => resolve(answer.startsWith('HTTP/1.1 200 ') ? answer : undefined));
    const shown = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n${shown}\r\n`);
  });
}
