import { type Clock, systemClock } from '../../src/common/clock.js';

/** How many times as fast as the system's clock it runs. */
const speed = 50;

/** A clock on which seconds pass in milliseconds, for waits of a client that a test only wants to see end. */
export const fastClock: Clock = {
  wallMs: () => systemClock.wallMs() * speed,
  monotonicMs: () => systemClock.monotonicMs() * speed,
  after: (delayMs, run) => systemClock.after(delayMs / speed, run),
  defer: (run) => systemClock.defer(run),
};
