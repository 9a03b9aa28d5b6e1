import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import {
  keepAliveMs,
  requestHeadMsMax,
  requestMsMax,
  socketIdleMsMax,
} from '../../protocol/limits.js';
import { replicationPath } from '../../protocol/replication.js';
import { AnswerText } from '../answer-text.js';
import {
  errorAnswer,
  logFailure,
  noMemberError,
  toChukchaError,
} from '../operations/error-answer.js';
import type { ServerPorts } from '../server-ports.js';
import { readInto } from './byte-source.js';
import { ConnectionSweep } from './connection-sweep.js';
import { LaneConnection } from './lane-connection.js';
import type { LaneContext, LaneLimits, ReplicaRequest } from './lane-context.js';
import { headBytesMax } from './request-head.js';

/** What one read of heads and small bodies takes from a socket. */
const readBytes = 64 * 1024;

export interface LaneOptions {
  readonly limits: LaneLimits;
  /** How often the clock of the limits ticks. */
  readonly tickMs: number;
  /** How bytes come from sockets, where there is a choice. */
  readonly reading: 'direct' | 'copied';
}

const optionDefaults: LaneOptions = {
  limits: {
    headMs: requestHeadMsMax,
    requestMs: requestMsMax,
    keepAliveMs,
    stillMs: socketIdleMsMax,
  },
  tickMs: 1_000,
  reading: 'direct',
};

/**
 * Stands in front of an HTTP server on its sockets, and answers writes and reads that come in one strict, plain
 * form. At the first bytes that are in any other form a connection is given to the HTTP server, for good, with
 * these bytes unread and everything before them answered.
 */
export class Lane implements LaneContext {
  readonly ports: ServerPorts;
  readonly limits: LaneLimits;
  readonly answers = new AnswerText();
  readonly readBuffer = Buffer.allocUnsafeSlow(headBytesMax + readBytes);
  readonly readTarget = this.readBuffer.subarray(headBytesMax);
  #options: LaneOptions;
  readonly #httpServer: Server;
  /** What the HTTP server does with a new connection. */
  readonly #onConnection: readonly ((socket: Socket) => void)[];
  readonly #connections = new Map<Socket, LaneConnection>();
  readonly #sweep: ConnectionSweep;
  #flushing: { flush(): void }[] = [];

  constructor(httpServer: Server, ports: ServerPorts, options: Partial<LaneOptions> = {}) {
    this.#options = { ...optionDefaults, ...options };
    this.limits = this.#options.limits;
    this.ports = ports;
    this.#httpServer = httpServer;
    const setTime = (): void => this.answers.setTime(ports.clock.wallMs());
    setTime();
    this.#sweep = new ConnectionSweep(this.#options.tickMs, setTime);
    // With TLS the HTTP server takes what comes out of the handshake.
    const event = httpServer instanceof TlsServer ? 'secureConnection' : 'connection';
    if (event === 'secureConnection') this.#options = { ...this.#options, reading: 'copied' };
    this.#onConnection = httpServer.listeners(event) as ((socket: Socket) => void)[];
    httpServer.removeAllListeners(event);
    httpServer.on(event, (socket: Socket) => this.#accept(socket));
  }

  get nowMs(): number {
    return this.#sweep.nowMs;
  }

  flushSoon(connection: { flush(): void }): void {
    // The store answers the batches of a commit one after another: all of them go into one write.
    if (this.#flushing.length === 0) queueMicrotask(() => this.#flush());
    this.#flushing.push(connection);
  }

  handOver(socket: Socket, bytes: Buffer, replica: ReplicaRequest | undefined): void {
    this.#forget(socket);
    if (replica !== undefined) {
      this.#acceptReplica(socket, bytes, replica);
      return;
    }
    for (const onConnection of this.#onConnection) onConnection.call(this.#httpServer, socket);
    socket.unshift(bytes);
    socket.resume();
  }

  /** Closes the connections on which no request is under way. */
  closeIdle(): void {
    for (const connection of this.#connections.values()) connection.closeWhenIdle();
  }

  /** Closes all connections, and ends the looking at their limits. */
  closeAll(): void {
    for (const socket of this.#connections.keys()) socket.destroy();
    this.#sweep.close();
  }

  #accept(socket: Socket): void {
    const counted = this.ports.counts.connections.add();
    const connection = new LaneConnection(socket, this, counted);
    this.#connections.set(socket, connection);
    this.#sweep.add(connection);
    socket.once('close', () => {
      counted.remove();
      this.#forget(socket);
    });
    readInto(socket, connection, this.#options.reading);
  }

  #acceptReplica(socket: Socket, bytes: Buffer, { hello, authorization }: ReplicaRequest): void {
    const { access, cluster, clusterSecret, log } = this.ports;
    try {
      const asks = access !== undefined || clusterSecret !== undefined;
      if (asks && clusterSecret?.isShownIn(authorization) !== true) throw noPeerError(hello.node);
      if (cluster === undefined) throw noMemberError();
      cluster.acceptReplica(hello, socket, bytes);
    } catch (thrown) {
      const error = toChukchaError(thrown);
      logFailure(log, replicationPath, error);
      const { status, body } = errorAnswer(error);
      socket.write(this.answers.json(status, body, undefined, true), 'latin1');
      socket.destroySoon();
    }
  }

  #forget(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    this.#connections.delete(socket);
    this.#sweep.remove(connection);
  }

  #flush(): void {
    const connections = this.#flushing;
    this.#flushing = [];
    for (const connection of connections) connection.flush();
  }
}

function noPeerError(node: string): ChukchaError {
  return new ChukchaError(
    'unauthorized',
    `Node ${node} does not show the secret of the cluster: start all nodes with the same --cluster-secret-file.`,
  );
}
