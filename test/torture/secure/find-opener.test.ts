import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { findOpener, tellsOpeners } from '../../../src/torture/secure/find-opener.js';
import { until } from '../../support/until.js';

const skip = tellsOpeners() ? false : 'this system does not tell who has opened a connection';

await t.test('who has opened a connection is found by its port', { skip }, async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const accept = async (): Promise<Socket> => ((await once(server, 'connection')) as [Socket])[0];

  const script = `require('node:net').connect(${port}, '127.0.0.1')`;
  const [fromChild, child] = await Promise.all([
    accept(),
    spawn(process.execPath, ['-e', script], { stdio: 'ignore' }),
  ]);
  t.teardown(() => child.kill());
  const openers = [
    { name: 'none', processId: undefined },
    { name: 'this', processId: process.pid },
    { name: 'child', processId: child.pid },
  ];
  t.equal(await findOpener(fromChild.remotePort ?? 0, openers), 'child');
  t.equal(await findOpener(fromChild.remotePort ?? 0, openers.slice(0, 2)), undefined);

  const [fromHere, own] = await Promise.all([accept(), connect(port, '127.0.0.1')]);
  t.equal(await findOpener(fromHere.remotePort ?? 0, openers), 'this');
  t.equal(await findOpener(port, openers), 'this', 'who listens has a socket of that port too');

  const childPort = fromChild.remotePort ?? 0;
  child.kill('SIGKILL');
  await until(async () => (await findOpener(childPort, openers)) === undefined);
  own.destroy();
  for (const socket of [fromChild, fromHere]) socket.destroy();
});
