import { CallError, sentenceOf } from './call-error.js';
import type { NodeCalls } from './node-calls.js';
import { isEtcdSuspect, type NodeReport } from './node-report.js';

/**
 * How the page stands with its node:
 *
 *     connecting --report--> connected --call fails--> lost --report--> connected
 *          any --401 or 403--> refused --tryNow() with another token--> as the answer says
 *
 * `connected` says when an answer is late, long before the call is given up.
 */
export type Link =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly isLate: boolean }
  | { readonly kind: 'lost'; readonly sentence: string; readonly sinceMs: number }
  | { readonly kind: 'refused'; readonly status: number; readonly sentence: string };

export interface NodeWatchListener {
  /** Called with every report. */
  reported(report: NodeReport): void;
  /** Called when the link has changed. */
  linkChanged(link: Link): void;
}

/** From the beginning of one call to that of the next: what happens shows within 2 s. */
const pollIntervalMs = 1_000;

/** The shortest pause between an answer and the next call, for a node that is slow to answer. */
const pauseMsMin = 250;

/** When the last report leaves it open whether something has just gone, the next one comes this soon. */
const suspectIntervalMs = 200;

/** An answer that takes longer is called late. */
const lateMs = 1_500;

/** Asks the node for its status, again and again while the page can be seen. */
export class NodeWatch {
  readonly #calls: NodeCalls;
  readonly #listener: NodeWatchListener;
  #link: Link = { kind: 'connecting' };
  #wake: () => void = () => undefined;
  #isSuspect = false;

  constructor(calls: NodeCalls, listener: NodeWatchListener) {
    this.#calls = calls;
    this.#listener = listener;
    document.addEventListener('visibilitychange', () => this.#wake());
  }

  get link(): Link {
    return this.#link;
  }

  /** Asks as long as the page lives. */
  async run(): Promise<never> {
    for (;;) {
      const startedMs = performance.now();
      await this.#ask();
      const elapsedMs = performance.now() - startedMs;
      await this.#pause(
        this.#isSuspect ? suspectIntervalMs : Math.max(pauseMsMin, pollIntervalMs - elapsedMs),
      );
    }
  }

  /** Does not wait for the next turn: there is a new token, or somebody has asked for it. */
  tryNow(): void {
    if (this.#link.kind === 'refused') this.#change({ kind: 'connecting' });
    this.#wake();
  }

  async #ask(): Promise<void> {
    const lateTimer = setTimeout(() => {
      if (this.#link.kind === 'connected') this.#change({ kind: 'connected', isLate: true });
    }, lateMs);
    try {
      const report = await this.#calls.status();
      this.#isSuspect = isEtcdSuspect(report);
      this.#change({ kind: 'connected', isLate: false });
      this.#listener.reported(report);
    } catch (error) {
      this.#noteFailure(error);
    } finally {
      clearTimeout(lateTimer);
    }
  }

  #noteFailure(error: unknown): void {
    this.#isSuspect = false;
    const sentence = sentenceOf(error);
    if (error instanceof CallError && error.isRefusal) {
      this.#change({ kind: 'refused', status: error.status, sentence });
      return;
    }
    const sinceMs = this.#link.kind === 'lost' ? this.#link.sinceMs : Date.now();
    this.#change({ kind: 'lost', sentence, sinceMs });
  }

  #change(link: Link): void {
    this.#link = link;
    this.#listener.linkChanged(link);
  }

  /** Waits; for a page that nobody sees, or a token that was refused, until that changes. */
  async #pause(pauseMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#isIdle) return;
      setTimeout(resolve, pauseMs);
    });
    while (this.#isIdle) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A token that was refused is not sent again and again: that would look like an attack. */
  get #isIdle(): boolean {
    return document.hidden || this.#link.kind === 'refused';
  }
}
