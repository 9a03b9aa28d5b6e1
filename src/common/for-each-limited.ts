/** Runs a task for every item, some of them at a time, in order; rejects with the first failure, when none runs any more. */
export async function forEachLimited<T>(
  items: readonly T[],
  countAtOnceMax: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const runSome = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next] as T;
      next += 1;
      await run(item).catch((error: unknown) => {
        next = items.length;
        throw error;
      });
    }
  };
  const workers = Array.from({ length: Math.min(countAtOnceMax, items.length) }, runSome);
  const outcomes = await Promise.allSettled(workers);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
