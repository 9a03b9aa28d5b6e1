import { noop } from 'cockatiel';
import {
  castGrpcError,
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  type IKeyValue,
  type IOptions,
  type IRequestOp,
  type ITxnRequest,
  type IWatchResponse,
} from 'etcd3';
import type { Clock } from '../common/clock.js';
import { errorMessage } from '../protocol/chukcha-error.js';
import {
  type ChangeAnswer,
  type EtcdCredentials,
  EtcdFailure,
  type EtcdFailureKind,
  type EtcdMember,
  type EtcdSession,
  noLease,
  type StoredEntry,
  type TableChange,
  type TableEvent,
  type TableList,
} from './etcd-port.js';

/** How long a silent connection is asked whether it lives; etcd takes more than one question in 5 s for an attack. */
const pingIntervalMs = 10_000;
const pingMsMax = 3_000;

/** The whole table comes in one answer; 4 MiB, as gRPC has it, are not enough for one of many groups. */
const answerBytesMax = 64 * 1024 * 1024;

const connectionOptions: NonNullable<IOptions['grpcOptions']> = {
  'grpc.keepalive_time_ms': pingIntervalMs,
  'grpc.keepalive_timeout_ms': pingMsMax,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': answerBytesMax,
  // A member that was closed leaves no connection to the next one, which may be half dead.
  'grpc.use_local_subchannel_pool': 1,
};

type Interceptor = NonNullable<
  Extract<NonNullable<IOptions['defaultCallOptions']>, { interceptors?: unknown }>['interceptors']
>[number];
type Call = ReturnType<Interceptor>;

/** The moment of the wall clock at which a call is given up. */
interface End {
  readonly deadline: number;
}

interface Closable {
  close(): void;
}

/** The status of gRPC for calls that the caller has given up. */
const cancelledStatus = 1;

const strangers = [
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  GRPCUnauthenticatedError,
];

/** What gRPC and etcd3 say of calls that never left this process. */
const notSentPattern =
  /No connection established|Name resolution failed|Channel closed before call started|client was already closed/;

/** What etcd says when it will not do something; whatever else fails may have been done. */
const refusals = [
  EtcdPermissionDeniedError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCOutOfRangeError,
  // No room for another entry.
  GRPCResourceExhastedError,
];

/** What etcd says of a call without a token that it knows; it has then done nothing. */
const strangerPattern =
  /invalid auth token|user name is empty|revision of auth store is old|authentication failed/;

/** etcd takes no user while it asks nobody who he is. */
const notAskedPattern = /authentication is not enabled/;

/** The header that carries what etcd has given for user and password. */
const tokenHeader = 'token';

/**
 * One member of etcd by way of etcd3, of which only the plain calls are used. Its own watchers lose changes when
 * they connect again, its leases leave timers behind, its circuit breaker keeps calls from an etcd that is back,
 * and none of them has a time limit (etcd3 1.1.2; `docs/adr/0011-a-table-not-an-api.md`). Its way with user and password
 * is not used either: it opens a connection for each token that it never closes, and repeats a call without end while
 * etcd does not take the token.
 */
export class Etcd3Member implements EtcdMember {
  readonly host: string;
  readonly #clock: Clock;
  readonly #root: string;
  readonly #client: Etcd3;
  readonly #session: EtcdSession;
  #authenticating: Promise<void> | undefined;
  /** What is under way, to be given up at the end: a call keeps the process alive until its limit. */
  readonly #calls = new Set<Call>();
  #isClosed = false;

  /** @param root what the keys begin with in etcd, ending with a slash */
  constructor(host: string, root: string, session: EtcdSession, clock: Clock) {
    this.host = host;
    this.#session = session;
    this.#clock = clock;
    this.#root = root;
    this.#client = new Etcd3({
      hosts: host,
      grpcOptions: connectionOptions,
      ...(host.startsWith('https:') && { credentials: tlsOf(session.credentials()) }),
      faultHandling: { host: () => noop, global: noop },
      defaultCallOptions: {
        interceptors: [(options, next) => this.#keepTrack(next(options) as Call)],
      },
    });
    closeAtOnce(this.#client);
  }

  async ask(limitMs: number): Promise<void> {
    const range = { key: Buffer.from(this.#root), limit: 1, keys_only: true };
    await this.#attempt(limitMs, (end) => this.#client.kv.range(range, end));
  }

  async list(limitMs: number): Promise<TableList> {
    const range = { key: Buffer.from(this.#root), range_end: endOf(this.#root) };
    const { header, kvs } = await this.#attempt(limitMs, (end) =>
      this.#client.kv.range(range, end),
    );
    const entries = kvs.map((found) => [this.#keyOf(found), toEntry(found)] as const);
    return { revision: Number(header.revision), entries: new Map(entries) };
  }

  async change(change: TableChange, limitMs: number): Promise<ChangeAnswer> {
    const key = Buffer.from(this.#root + change.key);
    const read: IRequestOp = { request_range: { key } };
    const request: ITxnRequest = {
      compare: [
        change.expected === 'absent'
          ? { key, result: 'Equal', target: 'Create', create_revision: 0 }
          : { key, result: 'Equal', target: 'Mod', mod_revision: change.expected },
      ],
      success: [writeOf(change, key), read],
      failure: [read],
    };
    const { header, succeeded, responses } = await this.#attempt(limitMs, (end) =>
      this.#client.kv.txn(request, end),
    );
    const found = responses.at(-1)?.response_range.kvs[0];
    return {
      done: succeeded,
      entry: found && toEntry(found),
      revision: Number(header.revision),
    };
  }

  async follow(
    afterRevision: number,
    limitMs: number,
    onStarted: () => void,
    onEvents: (events: readonly TableEvent[]) => void,
  ): Promise<never> {
    const stream = await this.#attempt(limitMs, () => this.#client.watchClient.watch());
    const ended = new Promise<never>((_, reject) => {
      const fail = (kind: EtcdFailureKind, reason: string): void => {
        limit.cancel();
        reject(new EtcdFailure(kind, reason));
      };
      const limit = this.#clock.after(limitMs, () =>
        fail('unreachable', `the watch has not begun within ${limitMs} ms`),
      );
      stream.on('error', (error) => fail('unreachable', errorMessage(error)));
      stream.on('end', () => fail('unreachable', 'the watch was ended by etcd'));
      stream.on('data', (response) => {
        // Also in the answer to a watch from a revision that was compacted meanwhile.
        if (response.canceled) fail('unreachable', cancelReason(response));
        else if (response.created) {
          limit.cancel();
          onStarted();
        } else onEvents(this.#eventsOf(response));
      });
    });
    stream.write({
      create_request: {
        key: Buffer.from(this.#root),
        range_end: endOf(this.#root),
        start_revision: String(afterRevision + 1),
      },
    });
    try {
      return await ended;
    } finally {
      stream.cancel();
    }
  }

  async grantLease(ttlSeconds: number, limitMs: number): Promise<string> {
    const { leaseClient } = this.#client;
    const request = { TTL: ttlSeconds };
    return (await this.#attempt(limitMs, (end) => leaseClient.leaseGrant(request, end))).ID;
  }

  async keepLease(leaseId: string, limitMs: number): Promise<void> {
    const { TTL } = await this.#attempt(limitMs, async (end) => {
      const stream = await this.#client.leaseClient.leaseKeepAlive(end);
      const answer = new Promise<{ readonly TTL: string }>((resolve, reject) => {
        stream.on('data', resolve);
        stream.on('error', reject);
        stream.on('end', () => reject(new Error('the stream was ended by etcd')));
      });
      stream.write({ ID: leaseId });
      const answered = await answer;
      stream.end();
      return answered;
    });
    if (TTL === '0') throw new EtcdFailure('lease lost', `lease ${leaseId} has expired`);
  }

  async revokeLease(leaseId: string, limitMs: number): Promise<void> {
    const { leaseClient } = this.#client;
    await this.#attempt(limitMs, (end) => leaseClient.leaseRevoke({ ID: leaseId }, end));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const call of this.#calls) call.cancelWithStatus(cancelledStatus, 'the member was closed');
    this.#calls.clear();
    this.#client.close();
  }

  /** gRPC takes a moment of the wall clock, and reads it again at once to make a duration of it. */
  #endAfter(limitMs: number): End {
    return { deadline: this.#clock.wallMs() + limitMs };
  }

  /**
   * Calls with a token, with a new one when etcd does not know it any more. The limit is for each of these steps: making a
   * token is hard work for etcd, and would leave the first call no time.
   */
  async #attempt<T>(limitMs: number, run: (end: End) => Promise<T>): Promise<T> {
    try {
      await this.#authenticate(limitMs);
      const { token } = this.#session;
      try {
        return await run(this.#endAfter(limitMs));
      } catch (error) {
        if (this.#session.credentials().user === undefined) throw error;
        // While etcd asked nobody there was no token; now it takes the call for one of whoever the certificate names.
        const isTakenForOther = token === '' && isPermissionDenied(error);
        if (!isStranger(error) && !isTakenForOther) throw error;
        if (this.#session.token === '') this.#session.token = undefined;
      }
      await this.#authenticate(limitMs);
      return await run(this.#endAfter(limitMs));
    } catch (error) {
      throw this.#toFailure(error);
    }
  }

  /** Gets a token, if there is a user and none yet. */
  async #authenticate(limitMs: number): Promise<void> {
    const { user, password = '' } = this.#session.credentials();
    if (user === undefined || this.#session.token !== undefined) return;
    this.#authenticating ??= this.#client.auth
      .authenticate({ name: user, password }, this.#endAfter(limitMs))
      .then(
        ({ token }) => {
          this.#session.token = token;
        },
        (error: unknown) => {
          // As etcd's own client does it: authentication is turned on after the nodes know their user.
          if (!notAskedPattern.test(errorMessage(error))) throw error;
          this.#session.token = '';
        },
      )
      .finally(() => {
        this.#authenticating = undefined;
      });
    await this.#authenticating;
  }

  #toFailure(error: unknown): EtcdFailure {
    const known = castGrpcError(error instanceof Error ? error : new Error(errorMessage(error)));
    const kind = kindOf(known);
    return new EtcdFailure(kind, `${known.message}${this.#mendOf(kind, known)}`, error);
  }

  #mendOf(kind: EtcdFailureKind, error: Error): string {
    const { user } = this.#session.credentials();
    if (error instanceof EtcdPermissionDeniedError) {
      return ` (let ${user ?? 'its user'} read and write all below ${this.#root})`;
    }
    if (kind !== 'denied') return '';
    return user === undefined
      ? ' (give --etcd-user and --etcd-password-file)'
      : ' (check --etcd-user and the file of --etcd-password-file)';
  }

  /** Keeps the call until it has ended. */
  #keepTrack(call: Call): Call {
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      this.#calls.add(call);
      const { token } = this.#session;
      if (token) metadata.set(tokenHeader, token);
      start(metadata, {
        ...listener,
        onReceiveStatus: (status) => {
          this.#calls.delete(call);
          if (!strangerPattern.test(status.details)) {
            listener?.onReceiveStatus?.(status);
            return;
          }
          // Another call may have brought a new one meanwhile.
          if (this.#session.token === token) this.#session.token = undefined;
          // What etcd3 knows by its text, it repeats at once and for ever: without a token, which etcd takes for a call of
          // whoever the certificate names.
          const details = status.details.replace('etcdserver: ', 'etcd: ');
          listener?.onReceiveStatus?.({ ...status, details });
        },
      });
    };
    return call;
  }

  #eventsOf(response: IWatchResponse): TableEvent[] {
    return response.events.map(({ type, kv }) => ({
      key: this.#keyOf(kv),
      entry: type === 'Put' ? toEntry(kv) : undefined,
      revision: Number(kv.mod_revision),
    }));
  }

  #keyOf({ key }: IKeyValue): string {
    return key.toString().slice(this.#root.length);
  }
}

/**
 * After a failure and at the end etcd3 gives a connection that is being made another second, in which the process
 * cannot end (`resetAllServices` of its `connection-pool.js`, on account of
 * https://github.com/grpc/grpc-node/issues/1487, which does not show with grpc-js 1.14).
 */
function closeAtOnce(client: Etcd3): void {
  for (const host of client['pool']['hosts']) {
    host.resetAllServices = () => {
      const services: Readonly<Record<string, Closable>> = host['cachedServices'];
      for (const service of Object.values(services)) service.close();
      host['cachedServices'] = {};
    };
  }
}

/** What etcd3 does not get is left to gRPC, which takes the authorities of the system. */
function tlsOf({ ca, cert, key }: EtcdCredentials): NonNullable<IOptions['credentials']> {
  const files = { ...(ca && { rootCertificate: ca }), ...(key && { privateKey: key }) };
  return { ...files, ...(cert && { certChain: cert }) } as NonNullable<IOptions['credentials']>;
}

function writeOf({ value, expected, leaseId }: TableChange, key: Buffer): IRequestOp {
  if (value === undefined) return { request_delete_range: { key } };
  const bytes = Buffer.from(value);
  if (leaseId !== undefined) return { request_put: { key, value: bytes, lease: leaseId } };
  // etcd takes the lease off an entry that is put without a word of it.
  return { request_put: { key, value: bytes, ignore_lease: expected !== 'absent' } };
}

function toEntry({ value, mod_revision, lease }: IKeyValue): StoredEntry {
  return { value: value.toString(), version: Number(mod_revision), leaseId: lease || noLease };
}

/** The first key behind all that begin with the text, which ends with an ASCII character. */
function endOf(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return end;
}

function cancelReason({ compact_revision, cancel_reason }: IWatchResponse): string {
  if (compact_revision === '0') return `etcd has cancelled the watch: ${cancel_reason}`;
  return `etcd keeps the changes only from revision ${compact_revision} on`;
}

function isPermissionDenied(error: unknown): boolean {
  return error instanceof Error && castGrpcError(error) instanceof EtcdPermissionDeniedError;
}

function isStranger(error: unknown): boolean {
  return strangerPattern.test(errorMessage(error));
}

function kindOf(error: Error): EtcdFailureKind {
  if (error instanceof EtcdLeaseInvalidError) return 'lease lost';
  if (strangers.some((stranger) => error instanceof stranger) || isStranger(error)) return 'denied';
  if (notSentPattern.test(error.message)) return 'not sent';
  return refusals.some((refusal) => error instanceof refusal) ? 'refused' : 'unreachable';
}
