import { setTimeout as delay } from 'node:timers/promises';

/** How long something that nothing announces may take; a failure takes this long, a success does not. */
const untilMsMax = 10_000;

/** Resolves when the condition holds, for what happens without an event that a test could wait for. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + untilMsMax;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`Still not true: ${condition}`);
    await delay(5);
  }
}
