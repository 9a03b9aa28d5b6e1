// Makes the fixtures of this version in `test/fixtures/v0.1`: directories as this code leaves them on disk. They are
// made once for each version of a form on disk and never again, so that later code shows that it still reads them.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootDirectory } from './build-outputs.js';

const target = join(rootDirectory, 'test', 'fixtures', 'v0.1');
if (existsSync(target)) {
  console.error(
    `${target} is there already: a fixture is not made anew. Remove it when that is meant.`,
  );
  process.exit(1);
}
const scratch = mkdtempSync(join(tmpdir(), 'chukcha-fixtures-'));
process.env.CHUKCHA_DISK_RESERVE = '0';
mkdirSync(target, { recursive: true });
try {
  await makeNodes();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** A node with all that it keeps, once after a clean stop and once after a kill; a ship and a sink half-way. */
async function makeNodes() {
  const data = join(scratch, 'node');
  const log = join(scratch, 'app.log');
  const node = await startNode(data);
  await post(`${node.url}/write?category=logs`, 'one\ntwo\n', {
    'Chukcha-Producer': 'web',
    'Chukcha-Sequence': '7',
  });
  await post(`${node.url}/seal?category=logs`);
  await fetch(`${node.url}/groups/archive?category=logs`, { method: 'PUT' });
  runCli([
    'sink',
    '--to',
    'stdout',
    '--category',
    'logs',
    '--server',
    node.url,
    '--once',
    '--state',
    join(scratch, 'sink'),
  ]);
  writeFileSync(log, 'from a file\n');
  runCli([
    'ship',
    '--from',
    `file:${log}`,
    '--category',
    'files',
    '--server',
    node.url,
    '--once',
    '--state',
    join(scratch, 'ship'),
  ]);
  await post(`${node.url}/write?category=logs`, 'three\n');
  await stop(node, 'SIGTERM');
  keep('node', 'node-stopped');
  const again = await startNode(data);
  await post(`${again.url}/write?category=logs&sync_each_write=true`, 'four\n');
  await stop(again, 'SIGKILL');
  keep('node', 'node-killed');
  keep('sink', 'sink-state');
  keep('ship', 'ship-state');
}

/** The lock is a socket, which no repository can hold. */
function keep(name, fixture) {
  const filter = (path) => !/\/(running\.lock|ballast|.*\.lock)$/.test(path);
  cpSync(join(scratch, name), join(target, fixture), { recursive: true, filter });
}

async function startNode(data) {
  const words = ['serve', '--data', data, '--listen', '127.0.0.1:0', '--name', 'node1'];
  const child = spawn(process.execPath, ['bin/run.js', ...words], {
    cwd: rootDirectory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  for await (const piece of child.stderr.iterator({ destroyOnReturn: false })) {
    text += piece;
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0];
    if (url === undefined) continue;
    child.stderr.resume();
    return { child, url };
  }
  throw new Error(`The node did not start: ${text}`);
}

async function stop({ child }, signal) {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

async function post(url, body, headers = {}) {
  const response = await fetch(url, { method: 'POST', body, headers });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}

function runCli(words) {
  const { status, stderr } = spawnSync(process.execPath, ['bin/run.js', ...words], {
    cwd: rootDirectory,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`chukcha ${words.join(' ')} ended with ${status}: ${stderr}`);
}
