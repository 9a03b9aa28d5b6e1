import type { InputSuite } from '../../src/conformance/index.js';
import {
  type Input,
  type InputBatch,
  type InputContext,
  type InputPositions,
  type JsonValue,
  PluginError,
  type PluginState,
  type SourceReport,
} from '../../src/index.js';

/** A way to break a rule of the contract. */
export type InputFault =
  | 'cuts_lines'
  | 'changes_lines'
  | 'throws_at_second_close'
  | 'throws_at_second_ack'
  | 'checkpoints_at_yield'
  | 'checkpoints_over_holes'
  | 'forgets'
  | 'replays_other_bytes'
  | 'gives_replayed_again'
  | 'forgets_refused_replays'
  | 'places_by_batch'
  | 'invents_ids'
  | 'explains_nothing'
  | 'long_range'
  | 'bad_key'
  | 'sets_nothing'
  | 'sets_strangers'
  | 'lists_nothing';

const listId = 'list-1';

/** The smallest input that keeps all rules, but for a fault: it yields some lines at a time, with places and ranges. */
class ListInput implements Input {
  readonly #lines: readonly Uint8Array[];
  readonly #context: InputContext;
  readonly #fault: InputFault | undefined;
  readonly #acked = new Set<number>();
  #replayedUntil = 0;
  #closeCount = 0;

  constructor(lines: readonly Uint8Array[], context: InputContext, fault: InputFault | undefined) {
    this.#lines = lines;
    this.#context = context;
    this.#fault = fault;
  }

  async *batches(signal: AbortSignal): AsyncGenerator<InputBatch> {
    const replayed = this.#fault === 'gives_replayed_again' ? 0 : this.#replayedUntil;
    const step = this.#context.batchBytesMax > 100_000 ? 50 : 20;
    for (let start = Math.max(this.#saved, replayed); start < this.#lines.length; start += step) {
      if (signal.aborted) return;
      if (this.#fault === 'checkpoints_at_yield') await this.#save(start + step);
      yield this.#createBatch(start, step);
    }
    if (this.#context.once) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      if (signal.aborted) resolve();
    });
  }

  async *replay(ranges: readonly JsonValue[]): AsyncGenerator<InputBatch> {
    for (const range of ranges) {
      const [start, step] = range as [number, number];
      this.#replayedUntil = start + step;
      yield this.#createBatch(this.#fault === 'replays_other_bytes' ? start + 1 : start, step);
    }
  }

  async explain(): Promise<SourceReport[]> {
    if (this.#fault === 'explains_nothing') return [];
    return [{ source: 'list', state: 'reading', detail: 'The list is read line by line.' }];
  }

  async close(): Promise<void> {
    this.#closeCount += 1;
    if (this.#closeCount > 1 && this.#fault === 'throws_at_second_close') throw new Error('closed');
  }

  get #saved(): number {
    return (this.#context.state.get('next') as number | undefined) ?? 0;
  }

  #createBatch(start: number, step: number): InputBatch {
    const lines = this.#lines.slice(start, start + step);
    const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
    if (this.#fault === 'changes_lines') bytes[0] = 0x21;
    const before = this.#lines.slice(0, start).reduce((sum, line) => sum + line.length + 1, 0);
    return {
      bytes: this.#fault === 'cuts_lines' ? bytes.subarray(0, -1) : bytes,
      range: this.#fault === 'long_range' ? 'x'.repeat(5_000) : [start, step],
      ...(this.#fault === 'bad_key' ? { idempotencyKey: 'a key' } : {}),
      origin: {
        source: 'list',
        id: this.#fault === 'invents_ids' ? `list-${start}-${step}` : listId,
        offset: this.#fault === 'places_by_batch' ? start * 10 : before,
      },
      ack: () => this.#accept(start, start + step),
      nack: async () => {
        if (this.#fault === 'forgets_refused_replays' && this.#replayedUntil > 0)
          await this.#save(start + step);
      },
    };
  }

  async #accept(start: number, end: number): Promise<void> {
    if (this.#acked.has(start) && this.#fault === 'throws_at_second_ack') throw new Error('acked');
    for (let line = start; line < end; line += 1) this.#acked.add(line);
    if (this.#fault === 'checkpoints_over_holes') await this.#save(end);
    let next = this.#saved;
    while (this.#acked.has(next)) next += 1;
    await this.#save(next);
  }

  async #save(next: number): Promise<void> {
    if (this.#fault === 'forgets') return;
    await this.#context.state.set('next', Math.max(this.#saved, next));
  }
}

function listPositions(state: PluginState, fault: InputFault | undefined): InputPositions {
  const saved = state.get('next') as number | undefined;
  return {
    list: () =>
      saved === undefined || fault === 'lists_nothing'
        ? []
        : [{ source: 'list', id: listId, offset: saved }],
    set: async (id, offset) => {
      if (id !== listId && fault !== 'sets_strangers') {
        throw new PluginError('operator', `There is no list ${id}.`);
      }
      if (fault !== 'sets_nothing') await state.set('next', offset);
    },
    forget: async () => {
      if (fault !== 'sets_nothing') await state.set('next', undefined);
    },
  };
}

/** The suite of the input, whole or with a fault. */
export function listSuite(fault?: InputFault): InputSuite {
  return {
    remembers: true,
    endless: false,
    originates: true,
    replays: true,
    explains: true,
    positions: (state) => listPositions(state, fault),
    createSource: async (lines) => ({
      open: async (context) => new ListInput(lines, context, fault),
      close: async () => undefined,
    }),
  };
}
