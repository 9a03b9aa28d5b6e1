/** Takes what comes over a channel. */
export interface ChannelSink {
  /** Where the next bytes are put; never empty. Asked once before the first bytes and after each `received`. */
  target(): Buffer;
  /** So many bytes were put at the start of the last target. */
  received(byteCount: number): void;
  /** The other side has taken what made the channel full. */
  drained(): void;
  /** The connection is gone, for a reason that is a part of a sentence. Called once. */
  closed(reason: string): void;
}

/** A connection between two nodes: bytes both ways, in order. */
export interface Channel {
  /** Has the sink take what comes, from now on. To be called once, at once. */
  attach(sink: ChannelSink): void;
  /**
   * Sends the parts one after another.
   *
   * @param released called when the parts may be changed again; not when the connection broke before
   */
  send(parts: readonly Uint8Array[], released?: () => void): void;
  /** Whether so much waits to be taken by the other side that no more should be sent before `drained`. */
  readonly isFull: boolean;
  /** Receives no more until `resume`, but for what is on its way. */
  pause(): void;
  resume(): void;
  /** Ends the connection at once; idempotent. */
  close(): void;
}

/** How a node reaches others. */
export interface Network {
  /**
   * Opens a stream at a node. Rejects with the error that the node answers, or `server_unreachable`.
   *
   * @param target the path, with its query
   */
  connect(url: string, target: string, signal: AbortSignal): Promise<Channel>;
}
