import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { Random } from '../common/random.js';
import { type ChangeSignal, sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import { EtcdFailure, type EtcdMember } from './etcd-port.js';

export interface EtcdLinkOptions {
  readonly hosts: readonly string[];
  /** How long one try of a call may take, in milliseconds. */
  readonly callMsMax: number;
  /** How long all tries of a call may take together, in milliseconds. */
  readonly triesMsMax: number;
}

export interface EtcdLinkPorts {
  readonly connect: (host: string) => EtcdMember;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Notified when etcd goes and when it is back. */
  readonly changed: ChangeSignal;
}

/** A call that found no connection is tried again so often, or once for each host when these are more. */
const triesMin = 3;

/** A connection is refused in no time, so tries need not be far apart; a fresh start of etcd takes 200 ms. */
const tryBackoff = { firstDelayMs: 50, delayMsMax: 500 };

/**
 * The way to etcd. One member is used for everything until a call or a watch of it fails; then its connections are
 * closed, and the next call goes to the next host. A half-dead connection is so never used twice.
 */
export class EtcdLink {
  readonly #options: EtcdLinkOptions;
  readonly #ports: EtcdLinkPorts;
  readonly #stop = new AbortController();
  #hostIndex: number;
  #member: EtcdMember | undefined;
  #problem: string | undefined = 'etcd has not answered yet';
  #isDenied = false;
  /** When it went away, for the log; `undefined` while it is there, and before the first answer. */
  #awaySinceMs: number | undefined;
  #answeredAtMs: number | undefined;

  constructor(options: EtcdLinkOptions, ports: EtcdLinkPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#hostIndex = Math.floor(ports.random.fraction() * options.hosts.length);
  }

  /** What the last call or watch failed with; `undefined` when it worked. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether the last failure was that etcd does not let this node in. */
  get isDenied(): boolean {
    return this.#isDenied;
  }

  /** When an answer came last, by the monotonic clock; `undefined` before the first. */
  get answeredAtMs(): number | undefined {
    return this.#answeredAtMs;
  }

  /** The member in use, newly connected when the last one has failed. */
  get member(): EtcdMember {
    if (this.#member === undefined) {
      const host = this.#options.hosts[this.#hostIndex] ?? '';
      this.#ports.log.debug('Calling a member of etcd.', { host });
      this.#member = this.#ports.connect(host);
    }
    return this.#member;
  }

  /**
   * Calls once. Throws an {@link EtcdFailure}.
   *
   * @param limitMs @default the limit of one try
   */
  async call<T>(
    run: (member: EtcdMember, limitMs: number) => Promise<T>,
    limitMs = this.#options.callMsMax,
  ): Promise<T> {
    if (this.#stop.signal.aborted) throw new EtcdFailure('not sent', 'the coordinator was closed');
    const { member } = this;
    try {
      const result = await run(member, limitMs);
      this.noteSuccess(member);
      return result;
    } catch (error) {
      const failure = asFailure(error);
      if (failure.kind === 'lease lost') this.noteSuccess(member);
      else if (failure.kind === 'refused') this.#noteAnswer(member);
      else this.noteFailure(member, failure);
      throw failure;
    }
  }

  /** Asks for nothing but an answer. Whether one comes decides nothing; never rejects. */
  async ask(limitMs: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { member } = this;
    try {
      await member.ask(limitMs);
      this.#noteAnswer(member);
    } catch (error) {
      // The calls that matter find out by themselves, and in their own time.
      if (asFailure(error).kind === 'refused') this.#noteAnswer(member);
    }
  }

  /** As {@link call}, for changes: tries again when the change was not made for sure. */
  async change<T>(run: (member: EtcdMember, limitMs: number) => Promise<T>): Promise<T> {
    const { callMsMax, triesMsMax, hosts } = this.#options;
    const { clock, random } = this.#ports;
    const endMs = clock.monotonicMs() + triesMsMax;
    const backoff = new Backoff(random, tryBackoff);
    for (let triesLeft = Math.max(triesMin, hosts.length) - 1; ; triesLeft -= 1) {
      try {
        return await this.call(run, Math.min(callMsMax, endMs - clock.monotonicMs()));
      } catch (error) {
        const delayMs = backoff.nextDelayMs();
        // After every other failure it may have been made: a second try would not find the entry as expected.
        const mayTryAgain = triesLeft > 0 && asFailure(error).kind === 'not sent';
        if (!mayTryAgain || clock.monotonicMs() + delayMs >= endMs) throw error;
        await this.#pause(delayMs, error);
      }
    }
  }

  /** Notes that the member has answered. */
  noteSuccess(member: EtcdMember): void {
    this.#noteAnswer(member);
    if (member !== this.#member || this.#problem === undefined) return;
    const { clock, log, changed } = this.#ports;
    this.#problem = undefined;
    this.#isDenied = false;
    if (this.#awaySinceMs !== undefined) {
      const awayMs = Math.round(clock.monotonicMs() - this.#awaySinceMs);
      this.#awaySinceMs = undefined;
      log.info('etcd is back.', { host: member.host, awayMs });
    }
    changed.notify();
  }

  #noteAnswer(member: EtcdMember): void {
    if (member === this.#member) this.#answeredAtMs = this.#ports.clock.monotonicMs();
  }

  /** Notes that the member has failed, and leaves it. What an earlier member did is of no interest any more. */
  noteFailure(member: EtcdMember, failure: EtcdFailure): void {
    if (member !== this.#member) return;
    this.renew(member);
    const { clock, log, changed } = this.#ports;
    const isDenied = failure.kind === 'denied' || failure.kind === 'refused';
    this.#problem = `etcd at ${member.host} ${isDenied ? 'does not let this node in' : 'cannot be reached'}: ${failure.message}`;
    const isNews = this.#awaySinceMs === undefined || (isDenied && !this.#isDenied);
    this.#awaySinceMs ??= clock.monotonicMs();
    this.#isDenied = isDenied;
    if (isNews) {
      log.warn(
        isDenied
          ? 'etcd does not let this node in: changes of the cluster wait, the rest goes on.'
          : 'etcd cannot be reached: changes of the cluster wait, the rest goes on.',
        { host: member.host, reason: failure.message },
      );
    }
    changed.notify();
  }

  /** Leaves a member, so that everything begins anew with the next one. */
  renew(member: EtcdMember): void {
    if (member !== this.#member) return;
    this.#member = undefined;
    this.#hostIndex = (this.#hostIndex + 1) % this.#options.hosts.length;
    member.close();
  }

  close(): void {
    this.#stop.abort();
    this.#member?.close();
    this.#member = undefined;
  }

  async #pause(delayMs: number, failure: unknown): Promise<void> {
    try {
      await sleep(this.#ports.clock, delayMs, this.#stop.signal);
    } catch {
      // The coordinator is closed while the call waits: it fails with what it failed with before.
      throw failure;
    }
  }
}

function asFailure(error: unknown): EtcdFailure {
  if (error instanceof EtcdFailure) return error;
  return new EtcdFailure('unreachable', errorMessage(error), error);
}
