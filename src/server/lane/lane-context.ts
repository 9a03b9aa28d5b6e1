import type { Socket } from 'node:net';
import type { ReplicaHello } from '../../protocol/replication.js';
import type { AnswerText } from '../answer-text.js';
import type { ServerPorts } from '../server-ports.js';

/** How long a connection may take for what; milliseconds. */
export interface LaneLimits {
  readonly headMs: number;
  readonly requestMs: number;
  readonly keepAliveMs: number;
  readonly stillMs: number;
}

/** What a peer has opened a connection with. */
export interface ReplicaRequest {
  readonly hello: ReplicaHello;
  readonly authorization: string | undefined;
}

/** What the connections of a lane share. */
export interface LaneContext {
  readonly ports: ServerPorts;
  readonly limits: LaneLimits;
  readonly answers: AnswerText;
  /**
   * Where heads and small bodies are read, by all connections: what is read is handled before another one
   * reads. In front there is room for a part of a head that came before.
   */
  readonly readBuffer: Buffer;
  /** The read buffer without that room. */
  readonly readTarget: Buffer;
  readonly nowMs: number;
  /** Has the connection send its answers when what settles now is settled. */
  flushSoon(connection: { flush(): void }): void;
  /** Gives the socket to the HTTP server, or to replication when a peer has opened it, which finds these bytes first. */
  handOver(socket: Socket, bytes: Buffer, replica: ReplicaRequest | undefined): void;
}
