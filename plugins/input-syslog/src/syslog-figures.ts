import type { InputContext, PluginCounter, PluginLog } from '@chukcha/plugin-api';

/** How often the log says that something was lost or changed, in milliseconds; the figures count all. */
const warnMsMin = 10_000;

/** Counts what happened to messages, and says in the log what nobody else will notice. */
export class SyslogFigures {
  readonly #log: PluginLog;
  readonly #received: PluginCounter;
  readonly #empty: PluginCounter;
  readonly #cut: PluginCounter;
  readonly #joined: PluginCounter;
  readonly #dropped: PluginCounter;
  readonly #lost: PluginCounter;
  readonly #broken: PluginCounter;
  readonly #warnedAt = new Map<string, number>();

  constructor({ log, metrics }: InputContext) {
    this.#log = log;
    this.#received = metrics.counter('messages_total', 'Messages that came.');
    this.#empty = metrics.counter(
      'empty_messages_total',
      'Messages without a byte, which become no line with form=json.',
    );
    this.#cut = metrics.counter('cut_messages_total', 'Messages that were cut at the limit.');
    this.#joined = metrics.counter(
      'joined_messages_total',
      'Messages whose newlines were written as \\n.',
    );
    this.#dropped = metrics.counter(
      'dropped_datagrams_total',
      'Datagrams that were dropped because the bus was behind.',
    );
    this.#lost = metrics.counter(
      'lost_messages_total',
      'Messages that the bus did not take and that nobody sends again.',
    );
    this.#broken = metrics.counter(
      'broken_connections_total',
      'Connections that were closed because of an error.',
    );
  }

  received(): void {
    this.#received.add();
  }

  empty(): void {
    this.#empty.add();
  }

  cut(): void {
    this.#cut.add();
    this.#warn('A message was longer than message_bytes_max and was cut.');
  }

  joined(): void {
    this.#joined.add();
  }

  dropped(): void {
    this.#dropped.add();
    this.#warn('Datagrams are dropped: the bus is behind; senders that must not lose any use TCP.');
  }

  lost(count: number): void {
    this.#lost.add(count);
    this.#log.warn(
      'Messages are lost: the bus did not take them, and syslog cannot ask for them again.',
      {
        count,
      },
    );
  }

  broken(peer: string, error: string): void {
    this.#broken.add();
    this.#warn('A connection was closed because of an error.', { peer, error });
  }

  #warn(sentence: string, fields: Readonly<Record<string, string>> = {}): void {
    const now = performance.now();
    if (now - (this.#warnedAt.get(sentence) ?? Number.NEGATIVE_INFINITY) < warnMsMin) return;
    this.#warnedAt.set(sentence, now);
    this.#log.warn(sentence, fields);
  }
}
