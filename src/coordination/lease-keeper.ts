import { Backoff } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { Mutex } from '../common/mutex.js';
import type { Random } from '../common/random.js';
import { ChangeSignal, sleep } from '../common/wait.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import type { ExpectedVersion } from './coordinator.js';
import type { EtcdLink } from './etcd-link.js';
import { type ChangeAnswer, EtcdFailure, type TableChange } from './etcd-port.js';
import type { TableCopy } from './table-copy.js';

export interface LeaseKeeperPorts {
  readonly copy: TableCopy;
  readonly link: EtcdLink;
  /** Makes a change in the table, and in the copy. */
  readonly change: (change: TableChange) => Promise<ChangeAnswer>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Notified when the copy has changed. */
  readonly changed: ChangeSignal;
}

interface Lease {
  readonly id: string;
  /** When etcd may take it for dead: its whole time after the last call that has renewed it was sent. */
  endsAtMs: number;
}

interface HeldEntry {
  readonly value: string;
  readonly isOwn: (value: string) => boolean;
  /** The version with which it was made last. */
  readonly version: number;
  /** The version of another process's entry in its place, which is left until it changes. */
  readonly foreignVersion?: number;
}

/** A lease is renewed three times in its life, as the client of etcd's own makers does. */
const renewalsPerLease = 3;

/** Of a lease of 10 s, tries at most a second apart leave several before it ends. */
const failureBackoff = { firstDelayMs: 200, delayMsMax: 1_000 };

/** An entry that is taken and goes again between two calls this often is left to whoever fights over it. */
const claimTriesMax = 5;

/**
 * Holds entries by one lease, which it renews. After the lease has gone (etcd was away for longer, this process
 * stood still, or etcd has lost its data) it takes a new one and makes the entries anew. An old entry of its own may
 * still be there then: etcd gives leases their whole time again when it starts.
 */
export class LeaseKeeper {
  readonly #ttlSeconds: number;
  readonly #ports: LeaseKeeperPorts;
  readonly #stop = new AbortController();
  readonly #woken = new ChangeSignal();
  readonly #held = new Map<string, HeldEntry>();
  readonly #leases = new Mutex();
  #lease: Lease | undefined;
  #running: Promise<void> | undefined;

  constructor(ttlSeconds: number, ports: LeaseKeeperPorts) {
    this.#ttlSeconds = ttlSeconds;
    this.#ports = ports;
  }

  /** Makes an entry and holds it from then on, if it was made. Throws an {@link EtcdFailure}. */
  async hold(key: string, value: string, isOwn: (value: string) => boolean): Promise<ChangeAnswer> {
    const version = this.#held.get(key)?.version;
    const answer = await this.#claim(key, value, (found, foundVersion) => {
      return foundVersion === version || isOwn(found);
    });
    if (!answer.done || answer.entry === undefined) return answer;
    this.#held.set(key, { value, isOwn, version: answer.entry.version });
    this.#running ??= this.#run();
    this.#woken.notify();
    return answer;
  }

  /** Makes a change by way of `run`; what is held has the value of it afterwards, or is held no longer. */
  async changing(
    key: string,
    value: string | undefined,
    run: () => Promise<ChangeAnswer>,
  ): Promise<ChangeAnswer> {
    const held = this.#held.get(key);
    if (held === undefined) return run();
    // Not to be made anew in the moment in which it has gone.
    this.#held.delete(key);
    try {
      const answer = await run();
      if (!answer.done) this.#held.set(key, held);
      else if (value !== undefined && answer.entry !== undefined) {
        this.#held.set(key, { ...held, value, version: answer.entry.version });
      }
      return answer;
    } catch (error) {
      this.#held.set(key, held);
      throw error;
    } finally {
      this.#woken.notify();
    }
  }

  /** Ends the lease, and so lets go of all entries, if etcd answers in time; never rejects. */
  async close(limitMs: number): Promise<void> {
    this.#stop.abort();
    this.#held.clear();
    const lease = this.#lease;
    if (lease === undefined) return;
    try {
      await this.#ports.link.call((member) => member.revokeLease(lease.id, limitMs), limitMs);
    } catch {
      // It was tried: the lease ends by itself when nobody renews it.
    }
  }

  async #run(): Promise<void> {
    const { clock, random, changed, log } = this.#ports;
    const { signal } = this.#stop;
    let backoff = new Backoff(random, failureBackoff);
    let isLogged = false;
    while (!signal.aborted) {
      try {
        if (this.#restMs() <= 0 && this.#held.size > 0) await this.#renew();
        for (let key = this.#firstMissing(); key !== undefined; key = this.#firstMissing()) {
          await this.#makeAnew(key);
        }
        backoff = new Backoff(random, failureBackoff);
        isLogged = false;
        const isIdle = this.#held.size === 0;
        await ChangeSignal.waitForAny([this.#woken, changed], {
          clock,
          signal,
          ...(!isIdle && { timeoutMs: Math.max(0, this.#restMs()) }),
        });
      } catch (error) {
        if (signal.aborted) return;
        // The link logs what is not answered; what etcd refuses, it may refuse for long.
        const isUnanswered = error instanceof EtcdFailure && error.kind !== 'refused';
        if (!isUnanswered && !isLogged) {
          isLogged = true;
          log.error('An entry that this node holds could not be kept; it is tried again.', {
            reason: errorMessage(error),
          });
        }
        await sleep(clock, backoff.nextDelayMs(), signal).catch(() => undefined);
      }
    }
  }

  /** How long the lease need not be renewed yet. */
  #restMs(): number {
    if (this.#lease === undefined) return 0;
    const ttlMs = this.#ttlSeconds * 1_000;
    const renewAtMs = this.#lease.endsAtMs - ttlMs + ttlMs / renewalsPerLease;
    return renewAtMs - this.#ports.clock.monotonicMs();
  }

  async #renew(): Promise<void> {
    const { clock, link, log } = this.#ports;
    const lease = await this.#currentLease();
    const sentAtMs = clock.monotonicMs();
    try {
      await link.call((member, limitMs) => member.keepLease(lease.id, limitMs));
      lease.endsAtMs = sentAtMs + this.#ttlSeconds * 1_000;
    } catch (error) {
      if (!isLeaseLost(error)) throw error;
      log.warn('The lease of this node has ended: what it holds is made anew.', {
        held: this.#held.size,
      });
      this.#forget(lease);
    }
  }

  /** The lease, a new one when there is none or it is past its time. */
  #currentLease(): Promise<Lease> {
    return this.#leases.run(async () => {
      const { clock, link } = this.#ports;
      const sentAtMs = clock.monotonicMs();
      if (this.#lease !== undefined && sentAtMs < this.#lease.endsAtMs) return this.#lease;
      this.#lease = undefined;
      const id = await link.change((member, limitMs) =>
        member.grantLease(this.#ttlSeconds, limitMs),
      );
      this.#lease = { id, endsAtMs: sentAtMs + this.#ttlSeconds * 1_000 };
      return this.#lease;
    });
  }

  #forget(lease: Lease): void {
    if (this.#lease === lease) this.#lease = undefined;
  }

  /** An entry that is held and not there by the lease, nor by another process. */
  #firstMissing(): string | undefined {
    for (const [key, { foreignVersion }] of this.#held) {
      const found = this.#ports.copy.get(key);
      const isThere = this.#lease !== undefined && found?.leaseId === this.#lease.id;
      const isTaken = found !== undefined && found.version === foreignVersion;
      if (!isThere && !isTaken) return key;
    }
    return undefined;
  }

  async #makeAnew(key: string): Promise<void> {
    const { log } = this.#ports;
    const held = this.#held.get(key);
    if (held === undefined) return;
    const answer = await this.#claim(key, held.value, (found, version) => {
      return version === held.version || held.isOwn(found);
    });
    // It may have been let go meanwhile.
    if (this.#held.get(key) !== held) return;
    if (answer.done && answer.entry !== undefined) {
      this.#held.set(key, { value: held.value, isOwn: held.isOwn, version: answer.entry.version });
      log.info('An entry that this node holds had gone, and was made anew.', { key });
    } else if (answer.entry !== undefined) {
      this.#held.set(key, { ...held, foreignVersion: answer.entry.version });
      log.error('Another process has taken what this node holds: is a second one running?', {
        key,
        value: answer.entry.value,
      });
    }
  }

  async #claim(
    key: string,
    value: string,
    mayReplace: (value: string, version: number) => boolean,
  ): Promise<ChangeAnswer> {
    const { change } = this.#ports;
    let expected: ExpectedVersion = 'absent';
    for (let triesLeft = claimTriesMax; ; triesLeft -= 1) {
      const lease = await this.#currentLease();
      let answer: ChangeAnswer;
      try {
        answer = await change({ key, value, expected, leaseId: lease.id });
      } catch (error) {
        if (!isLeaseLost(error) || triesLeft <= 1) throw error;
        this.#forget(lease);
        continue;
      }
      if (answer.done) return answer;
      const { entry } = answer;
      // An earlier try of it, of which no answer came.
      if (entry?.leaseId === lease.id && entry.value === value) return { ...answer, done: true };
      const isForeign = entry !== undefined && !mayReplace(entry.value, entry.version);
      if (isForeign || triesLeft <= 1) return answer;
      expected = entry?.version ?? 'absent';
    }
  }
}

function isLeaseLost(error: unknown): boolean {
  return error instanceof EtcdFailure && error.kind === 'lease lost';
}
