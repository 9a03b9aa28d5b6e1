import { writeSync } from 'node:fs';

export interface StandardErrorPorts {
  /** Writes what it can, and tells how many bytes; throws what the system answers. @default to descriptor 2 */
  readonly write?: (bytes: Uint8Array) => number;
  /** Calls back once, later; does not keep the process alive. @default a timer */
  readonly later?: (run: () => void, delayMs: number) => void;
  /** Waits without letting anything else run. @default by a futex */
  readonly pause?: (delayMs: number) => void;
}

/** What is held for a reader that is slow: some ten thousand lines. */
const heldBytesMax = 1024 * 1024;

const retryMs = 20;

/** How long the end of the process waits for somebody who reads. */
const flushMsMax = 1_000;

/**
 * Standard error, written at once, so that nothing is left over when the process ends. A pipe that is full because its
 * reader stands still neither stops the process nor fills its memory: lines are held up to a limit, and counted beyond
 * it; `onRoomAgain` is told their number when there is room again. Nothing here throws.
 */
export class StandardError {
  /** Told how many texts were left out since the last time. */
  onRoomAgain: (leftOutCount: number) => void = () => undefined;
  readonly #write: (bytes: Uint8Array) => number;
  readonly #later: (run: () => void, delayMs: number) => void;
  readonly #pause: (delayMs: number) => void;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #leftOutCount = 0;
  #isWaiting = false;
  #isGone = false;

  constructor(ports: StandardErrorPorts = {}) {
    this.#write = ports.write ?? ((bytes) => writeSync(2, bytes));
    this.#later = ports.later ?? ((run, delayMs) => void setTimeout(run, delayMs).unref());
    this.#pause = ports.pause ?? pauseThread;
  }

  print(text: string): void {
    if (this.#isGone) return;
    const bytes = Buffer.from(text);
    if (this.#heldBytes + bytes.length > heldBytesMax) {
      this.#leftOutCount += 1;
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    this.#send();
  }

  /** Writes what is held, for a second at most: what nobody has read by then is lost with the process. */
  flush(): void {
    for (let leftMs = flushMsMax; leftMs > 0 && this.#held.length > 0; leftMs -= retryMs) {
      this.#send();
      if (this.#held.length > 0) this.#pause(retryMs);
    }
  }

  #send(): void {
    try {
      for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
        const count = this.#write(first);
        this.#heldBytes -= count;
        if (count < first.length) this.#held[0] = first.subarray(count);
        else this.#held.shift();
      }
    } catch (error) {
      this.#noteFailure(error as NodeJS.ErrnoException);
      return;
    }
    if (this.#leftOutCount === 0) return;
    const leftOutCount = this.#leftOutCount;
    this.#leftOutCount = 0;
    this.onRoomAgain(leftOutCount);
  }

  #noteFailure({ code }: NodeJS.ErrnoException): void {
    if (code === 'EAGAIN') {
      this.#sendLater();
      return;
    }
    // Nobody will ever read it.
    if (code === 'EPIPE' || code === 'EBADF') this.#isGone = true;
    // A file that cannot grow takes the next line perhaps, which then says how many are missing.
    else this.#leftOutCount += this.#held.length;
    this.#held = [];
    this.#heldBytes = 0;
  }

  #sendLater(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#later(() => {
      this.#isWaiting = false;
      this.#send();
    }, retryMs);
  }
}

let shared: StandardError | undefined;

/** The one of this process, for whatever it tells: two of them would mix their lines. */
export function standardError(): StandardError {
  if (shared === undefined) {
    const created = new StandardError();
    // Node makes the descriptor of a pipe one that does not wait, and fails without a listener when its reader is gone.
    process.stderr.on('error', () => undefined);
    process.on('exit', () => created.flush());
    shared = created;
  }
  return shared;
}

function pauseThread(delayMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}
