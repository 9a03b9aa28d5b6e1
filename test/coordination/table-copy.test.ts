import t from 'tap';
import {
  type ChangeAnswer,
  noLease,
  type StoredEntry,
  type TableEvent,
  type TableList,
} from '../../src/coordination/etcd-port.js';
import { TableCopy } from '../../src/coordination/table-copy.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';

const keys = ['a', 'b', 'c'] as const;

/** The table as etcd has it, with all that it ever was. */
class ModelTable {
  readonly events: TableEvent[] = [];
  readonly entries = new Map<string, StoredEntry>();
  revision: number;

  constructor(revision: number) {
    this.revision = revision;
  }

  change(random: SeededRandom): ChangeAnswer & { readonly key: string } {
    this.revision += 1;
    const { revision } = this;
    const key = random.pick(keys);
    const entry =
      this.entries.has(key) && random.fraction() < 0.4
        ? undefined
        : { value: random.hex(4), version: revision, leaseId: noLease };
    if (entry === undefined) this.entries.delete(key);
    else this.entries.set(key, entry);
    this.events.push({ key, entry, revision });
    return { done: true, key, entry, revision };
  }

  list(): TableList {
    return { revision: this.revision, entries: new Map(this.entries) };
  }
}

/** A copy, with everything that is on its way to it. */
class ModelNode {
  readonly copy = new TableCopy();
  table: ModelTable;
  #watch: TableEvent[] = [];
  #watchedEvents = 0;
  #isWatching = false;
  #asked: { readonly seenRevision: number; answer: TableList | undefined } | undefined;
  #answers: (ChangeAnswer & { readonly key: string })[] = [];
  /** For each key, the first of its states in the table that the copy can be at. */
  readonly #positions = new Map<string, number>();

  constructor(table: ModelTable) {
    this.table = table;
  }

  step(random: SeededRandom): void {
    const steps: (() => void)[] = [
      () => this.table.change(random),
      () => this.#answers.push(this.table.change(random)),
      () => this.#applyAnswer(random.integer(0, this.#answers.length)),
      () => this.#ask(),
      () => this.#read(),
      () => this.#applyList(),
      () => this.#applyWatched(),
      () => this.#breakWatch(random.fraction() < 0.1),
    ];
    random.pick(steps)();
    this.check();
  }

  /** Its data is lost: what is under way is lost with the connections. */
  wipe(table: ModelTable): void {
    this.table = table;
    this.#isWatching = false;
    this.#asked = undefined;
    this.#answers = [];
    this.#positions.clear();
  }

  /** Everything arrives; a list begins it when nothing is watched. */
  settle(): void {
    if (!this.#isWatching) this.#asked = undefined;
    this.#ask();
    this.#read();
    this.#applyList();
    while (this.#answers.length > 0) this.#applyAnswer(0);
    this.#pull();
    while (this.#watch.length > 0) this.#applyWatched();
    this.check();
  }

  /** Throws when an entry of the copy is at an earlier state than it was before, or at none. */
  check(): void {
    for (const key of keys) {
      const states = [undefined, ...this.table.events.filter((event) => event.key === key)];
      const version = this.copy.get(key)?.version;
      const from = this.#positions.get(key) ?? 0;
      const position = states.findIndex(
        (state, index) => index >= from && state?.entry?.version === version,
      );
      if (position === -1) throw new Error(`${key} went back to version ${version}`);
      this.#positions.set(key, position);
    }
  }

  #ask(): void {
    this.#asked ??= { seenRevision: this.copy.seenRevision, answer: undefined };
  }

  #read(): void {
    if (this.#asked !== undefined) this.#asked.answer ??= this.table.list();
  }

  #applyList(): void {
    if (this.#asked?.answer === undefined) return;
    const { answer, seenRevision } = this.#asked;
    this.#asked = undefined;
    const { wentBack } = this.copy.applyList(answer, seenRevision);
    if (this.#isWatching && !wentBack) return;
    this.#isWatching = true;
    this.#watch = [];
    this.#watchedEvents = this.table.events.findIndex(({ revision }) => revision > answer.revision);
    if (this.#watchedEvents === -1) this.#watchedEvents = this.table.events.length;
  }

  #pull(): void {
    if (!this.#isWatching) return;
    this.#watch.push(...this.table.events.slice(this.#watchedEvents));
    this.#watchedEvents = this.table.events.length;
  }

  #applyWatched(): void {
    if (this.#watch.length === 0) this.#pull();
    const event = this.#watch.shift();
    if (event !== undefined) this.copy.apply(event);
  }

  #applyAnswer(index: number): void {
    const [answer] = this.#answers.splice(index, 1);
    if (answer === undefined) return;
    this.copy.apply(answer);
    const found = this.copy.get(answer.key)?.version ?? 0;
    const isThere = answer.entry === undefined || found >= answer.entry.version;
    const isLater = this.table.events.some(({ key, revision }) => {
      return key === answer.key && revision > answer.revision;
    });
    if (!isThere && !isLater) throw new Error(`${answer.key} lacks its own change`);
  }

  #breakWatch(happens: boolean): void {
    if (happens) this.#isWatching = false;
  }
}

await t.test('a copy never goes back, and ends as the table is', async (t) => {
  await checkProperty(t, 300, (random) => {
    const node = new ModelNode(new ModelTable(0));
    for (let step = 0; step < 200; step += 1) node.step(random);
    node.settle();
    compare(node);
  });
});

await t.test('a table that has lost its data is believed', async (t) => {
  await checkProperty(t, 300, (random) => {
    const node = new ModelNode(new ModelTable(0));
    for (let step = 0; step < 100; step += 1) node.step(random);
    // It may have grown beyond the old one before anybody looks.
    const table = new ModelTable(0);
    for (let count = random.integer(0, 150); count > 0; count -= 1) table.change(random);
    node.wipe(table);
    node.settle();
    compare(node);
    for (let step = 0; step < 100; step += 1) node.step(random);
    node.settle();
    compare(node);
  });
});

await t.test('a copy that was saved is the same when it is loaded', async (t) => {
  const copy = new TableCopy();
  copy.apply({
    key: '__proto__',
    entry: { value: 'ä\n', version: 7, leaseId: noLease },
    revision: 7,
  });
  copy.apply({ key: 'held', entry: { value: 'x', version: 8, leaseId: '77' }, revision: 8 });
  t.equal(copy.lastingChangeCount, 1);
  const loaded = new TableCopy();
  loaded.load(copy.toSnapshot('test'), 'test');
  t.same(loaded.list(''), [['__proto__', { value: 'ä\n', version: 7 }]]);
  t.equal(loaded.seenRevision, 8);
  t.equal(loaded.lastingChangeCount, 0);
});

function compare({ copy, table }: ModelNode): void {
  const sort = (entries: Iterable<readonly [string, StoredEntry]>): string =>
    JSON.stringify([...entries].map(([key, { version }]) => [key, version]).sort());
  const copied = keys.flatMap((key) => {
    const entry = copy.get(key);
    return entry === undefined ? [] : [[key, entry] as const];
  });
  if (sort(copied) === sort(table.entries)) return;
  throw new Error(`the copy is ${sort(copied)}, the table ${sort(table.entries)}`);
}
