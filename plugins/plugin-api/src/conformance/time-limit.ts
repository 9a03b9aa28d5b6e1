/**
 * How long a case waits for what has to happen soon. Nothing in a suite takes more than some ms when the
 * rule is kept, so this only bounds a failure; it is long enough for a machine under load.
 */
const soonMs = 10_000;

/** Settles as the promise does, or rejects with a sentence when that takes longer than 10 s. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Expected ${what} within ${soonMs} ms.`)), soonMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
