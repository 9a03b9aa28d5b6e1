import {
  appendFileSync,
  copyFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Input, InputBatch, PluginState } from '@chukcha/plugin-api';
import { createMemoryState, createTestContext, soon } from '@chukcha/plugin-api/conformance';
import t from 'tap';
import { openInput } from './support/file-run.js';

/** A small generator of numbers from 0 up to 1 that depends on its seed alone ("mulberry32"). */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** A program that writes lines to `app.log` and rotates it; each line is unique and names its file. */
class Writer {
  /** All lines that have their newline. */
  readonly lines = new Set<string>();
  readonly #directory: string;
  readonly #path: string;
  readonly #random: (below: number) => number;
  #fileCount = 0;
  #lineCount = 0;
  #unfinished: string | undefined;
  readonly #rotated: string[] = [];

  constructor(directory: string, random: (below: number) => number) {
    this.#directory = directory;
    this.#path = join(directory, 'app.log');
    this.#random = random;
    writeFileSync(this.#path, '');
  }

  append(): void {
    this.finishLine();
    for (let count = this.#random(30); count >= 0; count -= 1) {
      const line = this.#nextLine();
      appendFileSync(this.#path, `${line}\n`);
      this.lines.add(line);
    }
  }

  startLine(): void {
    this.finishLine();
    this.#unfinished = this.#nextLine();
    appendFileSync(this.#path, this.#unfinished);
  }

  finishLine(): void {
    if (this.#unfinished === undefined) return;
    appendFileSync(this.#path, '\n');
    this.lines.add(this.#unfinished);
    this.#unfinished = undefined;
  }

  rename(): void {
    this.finishLine();
    this.#fileCount += 1;
    const target = `${this.#path}.${this.#fileCount}`;
    renameSync(this.#path, target);
    this.#rotated.push(target);
    writeFileSync(this.#path, '');
  }

  /** Loses what was not read yet, so only for when everything was. */
  copyAndTruncate(): void {
    this.#fileCount += 1;
    copyFileSync(this.#path, `${this.#directory}/copy.log.${this.#fileCount}`);
    truncateSync(this.#path);
  }

  /** As {@link Writer.copyAndTruncate}; the inode is free for the next file. */
  deleteOldest(): void {
    const path = this.#rotated.shift();
    if (path !== undefined) rmSync(path);
  }

  #nextLine(): string {
    this.#lineCount += 1;
    return `${this.#fileCount}/${this.#lineCount} ${'.'.repeat(this.#random(60))}`;
  }
}

/** A host that settles batches late and out of order, and may refuse some. */
class Host {
  /** How often each line was accepted, in the order of the first time. */
  readonly accepted = new Map<string, number>();
  /** Lines that come again only in the next run. */
  readonly refused = new Set<string>();
  refusals = 0;
  readonly #random: (below: number) => number;
  readonly #input: Input;
  readonly #abort = new AbortController();
  readonly #unsettled: InputBatch[] = [];
  readonly #reading: Promise<void>;
  #onChange: () => void = () => undefined;

  constructor(input: Input, random: (below: number) => number, accepted: Map<string, number>) {
    this.#input = input;
    this.#random = random;
    this.accepted = accepted;
    this.#reading = this.#read();
  }

  /** Resolves when every line was accepted or refused in this run. */
  async catchUp(lines: ReadonlySet<string>): Promise<void> {
    const missing = (): string[] =>
      [...lines].filter((line) => !this.accepted.has(line) && !this.refused.has(line));
    const done = (async () => {
      while (missing().length > 0) {
        if (await this.#settleOne()) continue;
        await new Promise<void>((resolve) => {
          this.#onChange = resolve;
        });
      }
    })();
    await soon(done, 'all lines').catch((cause: unknown) => {
      throw new Error(`Missing ${missing().slice(0, 5).join(', ')}.`, { cause });
    });
  }

  refuseOne(): void {
    const batch = this.#takeAny();
    if (batch === undefined) return;
    this.refusals += 1;
    for (const line of linesOf(batch)) if (!this.accepted.has(line)) this.refused.add(line);
    void batch.nack(new Error('refused'));
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await soon(this.#reading, 'the end');
    while (await this.#settleOne());
    await this.#input.close();
  }

  async #read(): Promise<void> {
    for await (const batch of this.#input.batches(this.#abort.signal)) {
      this.#unsettled.push(batch);
      this.#onChange();
      if (this.#random(3) === 0) await this.#settleOne();
    }
  }

  /** Accepts any of the batches that wait; tells whether there was one. */
  async #settleOne(): Promise<boolean> {
    const batch = this.#takeAny();
    if (batch === undefined) return false;
    for (const line of linesOf(batch)) this.accepted.set(line, (this.accepted.get(line) ?? 0) + 1);
    await batch.ack();
    this.#onChange();
    return true;
  }

  #takeAny(): InputBatch | undefined {
    return this.#unsettled.splice(this.#random(this.#unsettled.length), 1)[0];
  }
}

function linesOf(batch: InputBatch): string[] {
  return Buffer.from(batch.bytes).toString().split('\n').slice(0, -1);
}

async function runModel(seed: number, directory: string): Promise<void> {
  const random = createRandom(seed);
  const writer = new Writer(directory, random);
  const accepted = new Map<string, number>();
  let state: PluginState = createMemoryState();
  let mayRepeat = false;
  const start = async (): Promise<Host> => {
    const options = { paths: [`${directory}/app.log*`], blockBytes: 64 + random(400) };
    return new Host(await openInput(options, createTestContext({ state })), random, accepted);
  };
  let host = await start();
  const restart = async (): Promise<void> => {
    await host.stop();
    host = await start();
  };
  const steps = [
    async () => writer.append(),
    async () => writer.append(),
    async () => writer.startLine(),
    async () => writer.rename(),
    async () => host.catchUp(writer.lines),
    async () => {
      writer.finishLine();
      await restart();
      await host.catchUp(writer.lines);
      writer.copyAndTruncate();
      // A truncation that is followed by more than was there is seen only by the contents.
      if (random(2) === 0) writer.append();
    },
    async () => {
      writer.finishLine();
      await restart();
      await host.catchUp(writer.lines);
      writer.deleteOldest();
    },
    restart,
    async () => {
      // What a kill leaves: the state of this moment, whatever is settled afterwards.
      const killed = createMemoryState(state.entries());
      mayRepeat = true;
      await host.stop();
      state = killed;
      host = await start();
    },
    async () => {
      host.refuseOne();
      if (host.refusals > 0) mayRepeat = true;
    },
    () => new Promise<void>((resolve) => setTimeout(resolve, random(25))),
  ];
  for (let count = 0; count < 30; count += 1) await steps[random(steps.length)]?.();
  writer.finishLine();
  await restart();
  await host.catchUp(writer.lines);
  await host.stop();

  for (const [line, times] of accepted) {
    if (!writer.lines.has(line)) throw new Error(`Never written: ${line}`);
    if (times > 1 && !mayRepeat) throw new Error(`Accepted ${times} times: ${line}`);
  }
}

t.test('whatever happens to the files and the process, every line is accepted', async (t) => {
  const given = process.env['SEED'];
  const firstSeed = given === undefined ? Date.now() % 1_000_000 : Number(given);
  const seeds = Array.from(
    { length: given === undefined ? 12 : 1 },
    (_, index) => firstSeed + index,
  );
  const directory = t.testdir(Object.fromEntries(seeds.map((seed) => [`${seed}`, {}])));
  await Promise.all(
    seeds.map((seed) =>
      t.test(`SEED=${seed}`, async () => {
        await runModel(seed, join(directory, `${seed}`));
      }),
    ),
  );
});
