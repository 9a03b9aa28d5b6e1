import t, { type Test } from 'tap';
import { Client, Consumer, type Position } from '../../src/index.js';
import { compareOwnerPositions } from '../../src/protocol/position.js';
import { FakeLog, FakeReplica, type Fault } from '../support/fake-replica.js';
import { fastClock } from '../support/fast-clock.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';
import { until } from '../support/until.js';

const owners = ['node1', 'node2', 'node3'] as const;

/** How many things happen to the nodes while the reader reads. */
const stepCount = 400;

/** Three nodes that share a log, each with a part of it, until they are told to be well. */
class Cluster {
  readonly log = new FakeLog();
  readonly replicas: FakeReplica[] = [];
  readonly #random: SeededRandom;
  readonly #downUntilStep = new Map<FakeReplica, number>();
  #messageCount = 0;
  #step = 0;
  #isWell = false;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  async start(t: Test): Promise<void> {
    for (const node of owners) {
      const replica: FakeReplica = await FakeReplica.start(t, this.log, {
        node,
        fault: () => this.#faultOf(replica),
      });
      this.replicas.push(replica);
    }
  }

  /** Something happens: a message, a seal, bytes or an acknowledgement that arrive somewhere, a node that fails. */
  step(): void {
    this.#step += 1;
    const random = this.#random;
    const owner = random.pick(owners);
    const replica = random.pick(this.replicas);
    const kind = random.integer(0, 99);
    if (kind < 35) this.#write(owner);
    else if (kind < 45) this.log.seal(owner);
    else if (kind < 85) this.#pullSome(replica);
    else if (kind < 95) this.#spreadAck(replica);
    else {
      this.#downUntilStep.set(replica, this.#step + random.integer(1, 60));
      replica.breakConnections();
    }
  }

  /** Ends all failures, and brings everything everywhere. */
  recover(): void {
    this.#isWell = true;
    for (const owner of owners) this.log.seal(owner);
    for (const replica of this.replicas) replica.pullAll();
  }

  #write(owner: string): void {
    const count = this.#random.integer(1, 4);
    let text = '';
    for (let index = 0; index < count; index += 1) {
      this.#messageCount += 1;
      text += `${owner} ${this.#messageCount}${'.'.repeat(this.#random.integer(0, 30))}\n`;
    }
    const name = this.log.append(owner, text);
    // The owner itself has what it has written, except in the time after a crash.
    if (this.#random.integer(0, 9) > 0) this.replicas[owners.indexOf(owner as 'node1')]?.pull(name);
  }

  /** Bytes of a chunk come in order and in whole messages, and chunks may overtake one another. */
  #pullSome(replica: FakeReplica): void {
    const missing = this.log.chunks.filter(({ name }) => !replica.isWhole(name));
    if (missing.length === 0) return;
    const { name, bytes } = this.#random.pick(missing.slice(0, 4));
    const from = replica.size(name) ?? 0;
    const to = bytes.indexOf('\n', this.#random.integer(from, bytes.length)) + 1;
    replica.pull(name, to === 0 ? bytes.length : to);
  }

  #spreadAck(replica: FakeReplica): void {
    const known = this.replicas.flatMap(({ acked }) => [...acked]);
    if (known.length > 0) replica.learnAck(this.#random.pick(known));
  }

  #faultOf(replica: FakeReplica): Fault | undefined {
    if (this.#isWell) return undefined;
    if ((this.#downUntilStep.get(replica) ?? 0) > this.#step) return 'cut';
    if (this.#random.integer(0, 19) > 0) return undefined;
    return this.#random.pick(['cut', 'cut answer', 'draining', 'storage_failed', 'internal']);
  }
}

/** What a group has read, over several consumers, each of which goes on where the last one was closed. */
class GroupReader {
  readonly texts = new Map<string, string>();
  readonly #client: Client;
  readonly #random: SeededRandom;
  #consumer: Consumer | undefined;
  #position: Position | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(client: Client, random: SeededRandom) {
    this.#client = client;
    this.#random = random;
    this.start();
  }

  get byteCount(): number {
    return [...this.texts.values()].reduce((sum, text) => sum + text.length, 0);
  }

  /** Starts a consumer at the position of the last one. */
  start(): void {
    this.#running = this.#run();
    // It is thrown when the reader is stopped.
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    await this.#consumer?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const consumer = new Consumer(this.#client, {
      category: 'logs',
      clock: fastClock,
      random: this.#random,
      batchBytesMax: this.#random.integer(10, 200),
      ...(this.#position === undefined ? {} : { position: this.#position }),
    });
    this.#consumer = consumer;
    for await (const batch of consumer) {
      const owner = batch.chunk.slice(0, 5);
      this.texts.set(owner, (this.texts.get(owner) ?? '') + batch.bytes.toString());
      batch.ack();
      this.#checkPosition(consumer.position());
    }
  }

  #checkPosition(next: Position | undefined): void {
    for (const [owner, place] of Object.entries(this.#position?.owners ?? {})) {
      const now = next?.owners[owner];
      if (now === undefined || compareOwnerPositions(now, place) < 0) {
        throw new Error(`${owner} went from ${JSON.stringify(place)} to ${JSON.stringify(now)}`);
      }
    }
    this.#position = next;
  }
}

t.test(
  'whatever fails and lags, a reader gets every message once, in the order of its owner',
  async (t) => {
    // What meets what depends on the sockets too, so a seed brings back the kind of a run and not every turn of it.
    await checkProperty(t, 8, async (random) => {
      const cluster = new Cluster(random);
      await cluster.start(t);
      const client = new Client({ server: cluster.replicas.map(({ url }) => url), random });
      const reader = new GroupReader(client, random);
      for (let step = 0; step < stepCount; step += 1) {
        cluster.step();
        if (random.integer(0, 99) === 0) {
          await reader.stop();
          reader.start();
        }
        if (random.integer(0, 2) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      cluster.recover();
      const { log, replicas } = cluster;
      const written = new Map<string, string>();
      for (const { owner, bytes } of log.chunks) {
        written.set(owner, (written.get(owner) ?? '') + bytes.toString());
      }
      const byteCount = log.chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
      await until(() => reader.byteCount >= byteCount);
      await until(() => log.chunks.every(({ name }) => replicas.some((r) => r.acked.has(name))));
      await reader.stop();
      client.close();
      for (const [owner, text] of written) {
        if (reader.texts.get(owner) !== text) {
          throw new Error(`of ${owner} came ${reader.texts.get(owner)}, and not ${text}`);
        }
      }
      for (const replica of replicas) replica.die();
    });
  },
);
