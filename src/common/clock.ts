/** A timer that was started; cancelling it a second time or after it fired does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as the rest of the code sees it. Only the adapter below reads the real one, so that a test can
 * put a whole node on a clock of its own.
 */
export interface Clock {
  /** Milliseconds since 1970; may jump. Only for what people read. */
  wallMs(): number;
  /** Milliseconds since some moment; never goes back. For every measured or waited duration. */
  monotonicMs(): number;
  /** Calls `run` once, `delayMs` from now. A pending timer keeps the process alive: cancel what is not needed. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` when the events of this turn of the event loop have been handled. */
  defer(run: () => void): void;
}

/** What a timer of the system takes at most, 24.8 days: it fires at once for more. */
const timeoutMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    let timer: NodeJS.Timeout;
    const wait = (restMs: number): void => {
      const stepMs = Math.min(restMs, timeoutMsMax);
      timer = setTimeout(() => (restMs > stepMs ? wait(restMs - stepMs) : run()), stepMs);
    };
    wait(delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  defer: (run) => {
    setImmediate(run);
  },
};
