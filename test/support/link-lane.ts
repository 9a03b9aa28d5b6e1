import type { Socket } from 'node:net';

export interface LaneState {
  readonly isOpen: boolean;
  readonly delayMs: number;
}

interface WaitingPiece {
  readonly dueMs: number;
  /** `undefined` for the end. */
  readonly bytes: Buffer | undefined;
}

/** How many bytes are on the way at most while they are delayed; then the source waits. */
const waitingBytesMax = 16 * 1024 * 1024;

/** One direction of a connection through a link. What comes through is in order and, of an open lane, complete. */
export class LinkLane {
  readonly #source: Socket;
  readonly #sink: Socket;
  #state: LaneState = { isOpen: true, delayMs: 0 };
  readonly #waiting: WaitingPiece[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the source was reset; the sink is told when the lane is open. */
  #isBroken = false;

  constructor(source: Socket, sink: Socket) {
    this.#source = source;
    this.#sink = sink;
    source.on('data', (bytes: Buffer) => this.#take(bytes));
    source.on('end', () => this.#take(undefined));
    source.on('close', () => {
      // After an end the sink still has to send what it wants; a reset ends both directions.
      if (source.readableEnded) return;
      this.#isBroken = true;
      this.#flush();
    });
    sink.on('drain', () => this.#flow());
    source.resume();
  }

  set(state: LaneState): void {
    this.#state = state;
    this.#flush();
    this.#flow();
  }

  #take(bytes: Buffer | undefined): void {
    const { isOpen, delayMs } = this.#state;
    if (isOpen && delayMs === 0 && this.#waiting.length === 0) {
      this.#pass(bytes);
    } else {
      this.#waiting.push({ dueMs: performance.now() + delayMs, bytes });
      this.#waitingBytes += bytes?.length ?? 0;
      this.#flush();
    }
    this.#flow();
  }

  #pass(bytes: Buffer | undefined): void {
    if (this.#sink.destroyed) return;
    if (bytes === undefined) this.#sink.end();
    else this.#sink.write(bytes);
  }

  /** Passes what is due, and comes back for the rest. */
  #flush(): void {
    clearTimeout(this.#timer);
    if (!this.#state.isOpen) return;
    const nowMs = performance.now();
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (next.dueMs > nowMs && this.#state.delayMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), next.dueMs - nowMs);
        return;
      }
      this.#waiting.shift();
      this.#waitingBytes -= next.bytes?.length ?? 0;
      this.#pass(next.bytes);
    }
    if (this.#isBroken) this.#sink.destroy();
    this.#flow();
  }

  /** Reads on only when there is room for more. */
  #flow(): void {
    const hasRoom = this.#state.isOpen
      ? !this.#sink.writableNeedDrain && this.#waitingBytes < waitingBytesMax
      : false;
    if (hasRoom && this.#source.isPaused()) this.#source.resume();
    else if (!hasRoom && !this.#source.isPaused()) this.#source.pause();
  }
}
