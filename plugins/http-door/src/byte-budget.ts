/** A number of bytes that is shared out among the requests under way. */
export class ByteBudget {
  readonly byteCountMax: number;
  #byteCount = 0;

  constructor(byteCountMax: number) {
    this.byteCountMax = byteCountMax;
  }

  /** How much is taken now. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** True when that many more bytes would fit now. */
  hasRoomFor(byteCount: number): boolean {
    return this.#byteCount + byteCount <= this.byteCountMax;
  }

  /** Takes a share that grows; it MUST be given back. */
  openShare(): ByteShare {
    let shareByteCount = 0;
    return {
      get byteCount() {
        return shareByteCount;
      },
      grow: (byteCount) => {
        if (!this.hasRoomFor(byteCount)) return false;
        this.#byteCount += byteCount;
        shareByteCount += byteCount;
        return true;
      },
      giveBack: () => {
        this.#byteCount -= shareByteCount;
        shareByteCount = 0;
      },
    };
  }
}

/** What one request has of a {@link ByteBudget}. */
export interface ByteShare {
  readonly byteCount: number;
  /** Tells whether the bytes were there; when not, the share is as before. */
  grow(byteCount: number): boolean;
  /** Gives all back; a second call does nothing. */
  giveBack(): void;
}
