import { readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Client } from '../../src/index.js';
import { ChukchaError } from '../../src/protocol/chukcha-error.js';
import type { ListedChunk } from '../../src/protocol/http-api.js';
import { CliNode, runCli } from '../support/cli.js';
import { SmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const category = 'logs';

/** The size of every line: two that are joined, or a part of one, are no line that was sent. */
const lineBytes = 100;

/** The lines that a test has sent, and what became of them. */
class Ledger {
  readonly #sent = new Set<string>();
  readonly #answered = new Set<string>();
  #count = 0;

  /** Writes a batch of new lines. Throws what the client throws. */
  async write(client: Client, lineCount: number): Promise<void> {
    const lines = Array.from({ length: lineCount }, () =>
      `${this.#count++} `.padEnd(lineBytes - 1, '.'),
    );
    for (const line of lines) this.#sent.add(line);
    await client.write(category, [Buffer.from(`${lines.join('\n')}\n`)]);
    for (const line of lines) this.#answered.add(line);
  }

  /** Writes batches until one is refused, and returns that refusal. */
  async fill(client: Client, lineCount: number): Promise<ChukchaError> {
    for (;;) {
      try {
        await this.write(client, lineCount);
      } catch (error) {
        if (error instanceof ChukchaError) return error;
        throw error;
      }
    }
  }

  /** Writes lines until some are taken: the space of a removed file is free when the next flush has closed it. */
  async writeWhenTaken(client: Client): Promise<void> {
    await until(() =>
      this.write(client, 1).then(
        () => true,
        () => false,
      ),
    );
  }

  /** Forgets the lines of a text that is about to be acknowledged. */
  forget(text: string): void {
    for (const line of text.split('\n')) this.#answered.delete(line);
  }

  /** Every answered line is in the text, whole and once, and every line of it was sent. */
  check(t: Test, text: string, when: string): void {
    const lines = text.split('\n');
    t.equal(lines.pop(), '', `${when}: the last line is whole`);
    const got = new Set(lines);
    t.equal(got.size, lines.length, `${when}: no line is there twice`);
    t.equal(lines.filter((line) => !this.#sent.has(line)).length, 0, `${when}: no line is torn`);
    const lost = [...this.#answered].filter((line) => !got.has(line));
    t.equal(lost.length, 0, `${when}: no answered line is lost`);
  }
}

async function readChunk(client: Client, { name, size }: ListedChunk): Promise<string> {
  let text = '';
  for (let offset = 0; offset < size; ) {
    const answer = await client.read(category, { chunk: name, offset, byteCountMax: MIB });
    text += answer.bytes.toString();
    offset = answer.nextOffset;
  }
  return text;
}

async function readAll(client: Client): Promise<string> {
  const { chunks } = await client.listChunks(category);
  const texts: string[] = [];
  for (const chunk of chunks) texts.push(await readChunk(client, chunk));
  return texts.join('');
}

/** Acknowledges the older half of what is sealed. */
async function ackHalf(client: Client, ledger: Ledger): Promise<void> {
  const { chunks } = await client.listChunks(category);
  const sealed = chunks.filter(({ complete }) => complete);
  for (const chunk of sealed.slice(0, Math.ceil(sealed.length / 2))) {
    ledger.forget(await readChunk(client, chunk));
    await client.ack(category, chunk.name, chunk.size);
  }
}

/** What is in the files themselves, whoever wrote it. */
function readFiles(data: string): string {
  const directory = join(data, category);
  const names = readdirSync(directory).sort();
  return names.map((name) => readFileSync(join(directory, name), 'utf8')).join('');
}

async function checkVerified(t: Test, data: string): Promise<void> {
  const { exit, stdout, stderr } = await runCli(['verify', data]);
  t.equal(exit, 0, `verify: ${stdout}${stderr}`);
  t.match(stderr, / 0 damaged; /);
}

interface Story {
  readonly mount: string;
  readonly flags: readonly string[];
  /** Batches of these sizes fill the disk, one size after the other, until each is refused. */
  readonly lineCounts: readonly number[];
}

const stories: Readonly<Record<string, Story>> = {
  'a disk without a byte left': {
    mount: 'size=4m',
    flags: ['--max-chunk-size', '400KiB'],
    lineCounts: [600, 30, 1],
  },
  'a disk without an inode left': {
    mount: 'size=4m,nr_inodes=60',
    flags: ['--max-chunk-size', '1'],
    lineCounts: [5],
  },
};

for (const [what, { mount, flags, lineCounts }] of Object.entries(stories)) {
  t.test(`${what} refuses writes, and neither reads, acks nor a kill are in the way`, async (t) => {
    const disk = SmallDisk.mount(t, mount);
    if (disk === undefined) return;
    const data = join(disk.directory, 'data');
    const ledger = new Ledger();
    const words = ['--disk-reserve', '0', '--flush-interval', '100ms', ...flags];
    let node = await CliNode.start(data, words);
    t.teardown(() => node.stop());
    let client = new Client({ server: node.url });
    const fill = async (): Promise<void> => {
      for (const lineCount of lineCounts) {
        const { code, fields, message } = await ledger.fill(client, lineCount);
        t.match({ code, fields }, { code: 'disk_full' }, message);
        t.match(message, /no room .*acknowledge .*nothing was stored\.$/);
      }
    };

    await fill();
    ledger.check(t, await readAll(client), 'on the full disk');
    await ackHalf(client, ledger);
    await ledger.writeWhenTaken(client);
    ledger.check(t, await readAll(client), 'after acks have made room');

    // The kill meets writers that are refused, and some that find the last room.
    const writers = lineCounts.map(async (lineCount) => {
      for (let error = await ledger.fill(client, lineCount); error.code === 'disk_full'; ) {
        error = await ledger.fill(client, lineCount);
      }
    });
    await fill();
    await node.kill();
    await Promise.all(writers);
    client.close();

    await checkVerified(t, data);
    node = await CliNode.start(data, words);
    client = new Client({ server: node.url });
    ledger.check(t, await readAll(client), 'after a restart on the full disk');
    await fill();
    await ackHalf(client, ledger);
    await ledger.writeWhenTaken(client);
    ledger.check(t, await readAll(client), 'after acks to the second process');
    client.close();
    t.equal((await node.stop()).exit, 0);
    ledger.check(t, readFiles(data), 'in the files');
    await checkVerified(t, data);
  });
}

t.test(
  'a reserve refuses writes before the disk is full, until acks free more than it',
  async (t) => {
    const disk = SmallDisk.mount(t, 'size=4m');
    if (disk === undefined) return;
    const data = join(disk.directory, 'data');
    const ledger = new Ledger();
    const node = await CliNode.start(data, [
      '--disk-reserve',
      '1MiB',
      '--max-chunk-size',
      '400KiB',
    ]);
    t.teardown(() => node.stop());
    const client = new Client({ server: node.url });
    const lineCount = 600;
    const { code, message } = await ledger.fill(client, lineCount);
    t.equal(code, 'disk_full', message);
    t.match(message, / 1 MiB are kept in reserve: .*nothing was stored\.$/);
    const { bavail, bsize } = statfsSync(disk.directory);
    const freeBytes = bavail * bsize;
    t.ok(freeBytes > 0.75 * MIB, `${freeBytes} bytes are free`);
    t.ok(freeBytes < MIB, 'and no more than the reserve');
    ledger.check(t, await readAll(client), 'at the reserve');
    await ackHalf(client, ledger);
    await until(async () => (await client.status()).disk.refusal === null);
    await ledger.write(client, lineCount);
    ledger.check(t, await readAll(client), 'after acks have made room');
    client.close();
    t.equal((await node.stop()).exit, 0);
    await checkVerified(t, data);
  },
);

t.test(
  'a disk that becomes read-only is told, and writes resume when it is not any more',
  async (t) => {
    const disk = SmallDisk.mount(t, 'size=4m');
    if (disk === undefined) return;
    const data = join(disk.directory, 'data');
    const ledger = new Ledger();
    const node = await CliNode.start(data, ['--disk-reserve', '0', '--flush-interval', '50ms']);
    t.teardown(() => node.stop());
    const client = new Client({ server: node.url });
    await ledger.write(client, 10);
    const { chunk, size } = await client.seal(category);
    // The kernel refuses as long as a file is open for writing, and the node closes a sealed one after the flush.
    await until(() => disk.remount('ro'));
    const refusals = [
      () => ledger.write(client, 1),
      () => client.write('other', [Buffer.from('a\n')]),
      () => client.ack(category, String(chunk), Number(size)),
      () => client.registerGroup(category, 'archive'),
    ];
    for (const call of refusals) {
      await t.rejects(async () => void (await call()), {
        code: 'storage_failed',
        message: /read-only file system/,
      });
    }
    ledger.check(t, await readAll(client), 'while the disk is read-only');
    t.equal((await client.status()).state, 'running');
    t.ok(disk.remount('rw'));
    await ledger.write(client, 10);
    ledger.check(t, await readAll(client), 'when the disk can be written to again');
    client.close();
    t.equal((await node.stop()).exit, 0);
    ledger.check(t, readFiles(data), 'in the files');
    await checkVerified(t, data);
  },
);

t.test('a node stops on a read-only disk, and what is there can be verified', async (t) => {
  const disk = SmallDisk.mount(t, 'size=4m');
  if (disk === undefined) return;
  const data = join(disk.directory, 'data');
  const node = await CliNode.start(data, ['--disk-reserve', '0', '--flush-interval', '50ms']);
  const client = new Client({ server: node.url });
  await new Ledger().write(client, 10);
  await client.seal(category);
  client.close();
  await until(() => disk.remount('ro'));
  const { exit, stderr } = await node.stop();
  t.equal(exit, 0, stderr);
  await checkVerified(t, data);
  disk.remount('rw');
  rmSync(join(data, 'running.lock'), { recursive: true });
  disk.remount('ro');
  await checkVerified(t, data);
});
