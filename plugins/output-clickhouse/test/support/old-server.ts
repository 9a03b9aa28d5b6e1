import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A start takes 0.2 s. */
const startMsMax = 15_000;

/** Why the trial against an installed server is skipped; `false` when there is one. */
export function reasonWithoutServer(): string | false {
  const { error } = spawnSync('clickhouse-server', ['--version']);
  return error === undefined
    ? false
    : 'there is no clickhouse-server: apt-get install clickhouse-server brings the old 18.16 of Debian';
}

/** The `clickhouse-server` that is installed, in a directory of its own, with a user who has a password. */
export class OldServer {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(port: number, child: ChildProcess, directory: string) {
    this.port = port;
    this.#child = child;
    this.#directory = directory;
  }

  static async start(password: string): Promise<OldServer> {
    const directory = mkdtempSync(join(tmpdir(), 'chukcha-old-clickhouse-'));
    const [port, tcpPort] = [await findFreePort(), await findFreePort()];
    for (const name of ['data', 'tmp', 'files']) mkdirSync(join(directory, name));
    writeFileSync(
      join(directory, 'config.xml'),
      `<yandex><logger><level>fatal</level><console>1</console></logger>
      <http_port>${port}</http_port><tcp_port>${tcpPort}</tcp_port><listen_host>127.0.0.1</listen_host>
      <path>${directory}/data/</path><tmp_path>${directory}/tmp/</tmp_path>
      <user_files_path>${directory}/files/</user_files_path><mark_cache_size>100000000</mark_cache_size>
      <users_config>${directory}/users.xml</users_config>
      <default_profile>default</default_profile><default_database>default</default_database></yandex>`,
    );
    writeFileSync(
      join(directory, 'users.xml'),
      `<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default>
      <password>${password}</password><networks><ip>::/0</ip></networks>
      <profile>default</profile><quota>default</quota></default></users></yandex>`,
    );
    const child = spawn('clickhouse-server', ['--config-file', join(directory, 'config.xml')], {
      stdio: 'ignore',
    });
    const server = new OldServer(port, child, directory);
    await server.#untilReady();
    return server;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    const startedMs = performance.now();
    for (;;) {
      const isReady = await fetch(`http://127.0.0.1:${this.port}/ping`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (isReady) return;
      if (this.#child.exitCode !== null) throw new Error('clickhouse-server has ended');
      if (performance.now() - startedMs > startMsMax)
        throw new Error('clickhouse-server does not answer');
      await delay(20);
    }
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return address !== null && typeof address !== 'string' ? address.port : 0;
}
