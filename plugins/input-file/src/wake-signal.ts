/** Wakes the one loop that waits. A call while nobody waits is remembered for the next wait. */
export class WakeSignal {
  #isSet = false;
  #wake: () => void = () => undefined;

  notify(): void {
    this.#isSet = true;
    this.#wake();
  }

  /** Resolves at the next call of `notify`, after the time, or when the signal aborts; never rejects. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#isSet && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => wake(), timeoutMs);
        const wake = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', wake);
          this.#wake = () => undefined;
          resolve();
        };
        signal.addEventListener('abort', wake);
        this.#wake = wake;
      });
    }
    this.#isSet = false;
  }
}
