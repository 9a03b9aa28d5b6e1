import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { CliNode } from '../support/cli.js';
import { testDirectory } from '../support/test-directory.js';

/*
 * A client as those of the reference implementation are, written from its rules alone:
 *
 * - `POST /write?category=` with the lines as the body
 * - `GET /listChunks?category=` gives `[{"name","complete","size"}]`; the last chunk of an owner that may still
 *   grow is not complete
 * - `GET /read?category=&chunk=&off=&max_size=` until an empty 200; 404 means not here (yet)
 * - `GET /ack?category=&chunk=&size=` once a complete chunk was read up to its size
 * - one of several addresses is picked at random for each call; who finds nothing asks again after 100 ms
 */

const pollMs = 100;
const readBytesMax = 256;

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

interface Chunk {
  readonly name: string;
  readonly complete: boolean;
  readonly size: number;
}

class ReferenceClient {
  readonly #addresses: readonly string[];

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  async write(category: string, lines: string): Promise<void> {
    const { status, body } = await this.#call('POST', `/write?category=${category}`, lines);
    if (status !== 200) throw new Error(`write: ${status} ${body}`);
  }

  async listChunks(category: string): Promise<Chunk[]> {
    const { status, body } = await this.#call('GET', `/listChunks?category=${category}`);
    if (status !== 200) throw new Error(`listChunks: ${status} ${body}`);
    return JSON.parse(body.toString()) as Chunk[];
  }

  /** `undefined` when the chunk is not there. */
  async read(category: string, chunk: string, offset: number): Promise<Buffer | undefined> {
    const parameters = `category=${category}&chunk=${chunk}&off=${offset}&max_size=${readBytesMax}`;
    const { status, body } = await this.#call('GET', `/read?${parameters}`);
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`read: ${status} ${body}`);
    return body;
  }

  async ack(category: string, chunk: string, size: number): Promise<void> {
    const parameters = `category=${category}&chunk=${chunk}&size=${size}`;
    const { status, body } = await this.#call('GET', `/ack?${parameters}`);
    if (status !== 200) throw new Error(`ack: ${status} ${body}`);
  }

  #call(method: string, path: string, body?: string): Promise<Answer> {
    const address = this.#addresses[Math.floor(Math.random() * this.#addresses.length)];
    return new Promise((resolve, reject) => {
      const outgoing = request(`${address}${path}`, { method }, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces) }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

/** Reads one category of one owner, chunk after chunk, as the reference's simple consumer does. */
class ReferenceReader {
  text = '';
  /** Calls that failed because the node was away; they were made again. */
  failedCount = 0;
  readonly #client: ReferenceClient;
  readonly #category: string;
  #current: Chunk | undefined;
  #offset = 0;
  #isFinished = false;
  #isStopping = false;

  constructor(client: ReferenceClient, category: string) {
    this.#client = client;
    this.#category = category;
  }

  /** Goes on until `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        if (!(await this.#step())) await delay(pollMs);
      } catch {
        this.failedCount += 1;
        await delay(pollMs);
      }
    }
  }

  stop(): void {
    this.#isStopping = true;
  }

  /** Whether there was something to do. */
  async #step(): Promise<boolean> {
    if (this.#isFinished) return this.#ackCurrent();
    this.#current ??= (await this.#client.listChunks(this.#category))[0];
    if (this.#current === undefined) return false;
    const { name } = this.#current;
    const bytes = await this.#client.read(this.#category, name, this.#offset);
    if (bytes === undefined) return false;
    this.text += bytes.toString();
    this.#offset += bytes.length;
    if (bytes.length > 0) return true;
    if (!this.#current.complete) {
      const listed = await this.#client.listChunks(this.#category);
      this.#current = listed.find((chunk) => chunk.name === name) ?? this.#current;
    }
    // It may have grown, and been completed, between the empty answer and the list.
    if (this.#offset < this.#current.size) return true;
    this.#isFinished = this.#current.complete;
    return this.#isFinished;
  }

  async #ackCurrent(): Promise<boolean> {
    await this.#client.ack(this.#category, this.#current?.name ?? '', this.#offset);
    this.#current = undefined;
    this.#offset = 0;
    this.#isFinished = false;
    return true;
  }
}

t.test('a client of the reference implementation sees every line exactly once', async (t) => {
  const data = join(testDirectory(t), 'data');
  const options = ['--max-chunk-size', '200'];
  let node = await CliNode.start(data, options);
  t.teardown(() => node.stop());
  const restart = async (): Promise<void> => {
    node = await CliNode.start(data, [...options, '--listen', `127.0.0.1:${node.port}`]);
  };
  const client = new ReferenceClient([node.url, `http://localhost:${node.port}`]);
  const reader = new ReferenceReader(client, 'events');
  const reading = reader.run();

  let written = '';
  const writeSome = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1) {
      const lines = `line ${written.length}\nand ${'x'.repeat(left % 90)}\n`;
      await client.write('events', lines);
      written += lines;
    }
  };
  const caughtUp = async (): Promise<void> => {
    while (reader.text.length < written.length) await delay(5);
    t.ok(reader.text === written, 'every line once, and in order');
  };

  await writeSome(40);
  await node.stop();
  await restart();
  await writeSome(40);
  await node.kill();
  await restart();
  await writeSome(40);
  await caughtUp();
  t.ok(reader.failedCount > 0, 'the reader met a node that was away');

  const open = await client.listChunks('events');
  t.equal(open.length, 1, 'what was read and complete was acknowledged, and is gone');
  t.same(Object.keys(open[0] ?? {}), ['name', 'complete', 'size']);
  t.equal(open[0]?.complete, false, 'the last chunk of the owner may still grow');

  // After a restart the last chunk of the owner is complete, and there is no open one until the next write.
  await node.kill();
  await restart();
  while ((await client.listChunks('events')).length > 0) await delay(5);
  await writeSome(1);
  await caughtUp();
  t.match(await client.listChunks('events'), [{ complete: false }]);
  reader.stop();
  await reading;
});
