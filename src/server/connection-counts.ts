/**
 * What a connection is used for: `lane` until something comes that the lane does not take, then `http`, or one of the
 * streams.
 */
const connectionKinds = ['lane', 'http', 'produce', 'consume', 'replication'] as const;

export type ConnectionKind = (typeof connectionKinds)[number];

/** Counts the connections that are open, by what they are used for. */
export class ConnectionCounts {
  readonly #counts = new Map<ConnectionKind, number>(connectionKinds.map((kind) => [kind, 0]));

  /** To be called for each connection that was accepted; it is of the kind `lane`. */
  add(): CountedConnection {
    return new CountedConnection((kind, change) => {
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + change);
    });
  }

  /** How many are open, by their kinds. */
  get byKind(): ReadonlyMap<ConnectionKind, number> {
    return this.#counts;
  }
}

/** One connection that is counted as long as it is open. */
export class CountedConnection {
  readonly #count: (kind: ConnectionKind, change: number) => void;
  #kind: ConnectionKind | undefined = 'lane';

  constructor(count: (kind: ConnectionKind, change: number) => void) {
    this.#count = count;
    count('lane', 1);
  }

  /** It is used for something else from now on. */
  become(kind: ConnectionKind): void {
    if (this.#kind === undefined) return;
    this.#count(this.#kind, -1);
    this.#count(kind, 1);
    this.#kind = kind;
  }

  /** It is closed; idempotent. */
  remove(): void {
    if (this.#kind !== undefined) this.#count(this.#kind, -1);
    this.#kind = undefined;
  }
}
