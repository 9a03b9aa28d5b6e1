import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { PluginError } from '@chukcha/plugin-api';
import {
  RequestError,
  type RequestSettings,
  type ServerAnswer,
  type ServerRequest,
  sendRequest,
} from './server-request.js';
import type { TargetOptions } from './target-options.js';

/** How long a host that failed is asked only when all others fail too, in milliseconds. */
const pauseMs = 10_000;

/** How much of what a server says is repeated, in characters. */
const quotedCharactersMax = 300;

/** What TLS says about certificates that only a person can mend. */
const certificateCodes =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_|ERR_SSL_|EPROTO)/;

interface Host {
  readonly address: string;
  pausedUntilMs: number;
}

/**
 * The servers of one cluster. Requests go to them in turn; one that cannot be reached, or says that it cannot serve now, is
 * left alone for a while, and the request goes to the next at once. What is sent here may reach a server twice.
 */
export class ServerRing {
  readonly #hosts: readonly Host[];
  readonly #settings: Omit<RequestSettings, 'agent'>;
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
  readonly #secrets: readonly string[];
  #next = 0;

  constructor(options: TargetOptions) {
    this.#hosts = options.hosts.map((address) => ({ address, pausedUntilMs: 0 }));
    this.#settings = {
      authorization: options.authorization,
      timeoutMs: options.requestTimeoutMs,
    };
    const shared = { keepAlive: true, maxSockets: options.inFlightMax + 1 };
    this.#agents = {
      http: new HttpAgent(shared),
      https: new HttpsAgent({ ...shared, ...options.tls }),
    };
    this.#secrets = options.secrets;
  }

  get addresses(): readonly string[] {
    return this.#hosts.map(({ address }) => address);
  }

  /**
   * Sends the request to one host after the other until one answers with anything but 502, 503 or 504. Throws a
   * `PluginError`: `operator` when certificates are the matter, else `transient`.
   */
  async send(request: ServerRequest, signal: AbortSignal): Promise<ServerAnswer> {
    const failures: string[] = [];
    let kind: 'operator' | 'transient' = 'operator';
    let lastAnswer: ServerAnswer | undefined;
    for (const host of this.#inTurn()) {
      try {
        const answer = await this.sendTo(host.address, request, signal);
        if (answer.status < 502 || answer.status > 504) {
          host.pausedUntilMs = 0;
          return answer;
        }
        lastAnswer = answer;
        kind = 'transient';
        failures.push(`${host.address}: ${this.describeAnswer(answer)}`);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        if (!certificateCodes.test(error.code)) kind = 'transient';
        failures.push(`${host.address}: ${describeError(error)}`);
      }
      host.pausedUntilMs = performance.now() + pauseMs;
    }
    if (lastAnswer !== undefined && failures.length === 1) return lastAnswer;
    throw new PluginError(
      kind,
      this.redact(
        `No server took ${request.method} ${request.path.replace(/\?.*/, '')}. ${failures.join('; ')}.`,
      ),
    );
  }

  /** Sends the request to this host only. Throws {@link RequestError}. */
  async sendTo(
    address: string,
    request: ServerRequest,
    signal: AbortSignal,
  ): Promise<ServerAnswer> {
    const agent = address.startsWith('https:') ? this.#agents.https : this.#agents.http;
    const settings = { ...this.#settings, agent };
    try {
      return await sendRequest(address, request, settings, signal);
    } catch (error) {
      // A connection that waited may have been closed by the server in the same moment.
      if (!(error instanceof RequestError) || !error.reusedConnection) throw error;
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') throw error;
      return await sendRequest(address, request, settings, signal);
    }
  }

  /** What a server said, for a sentence: its status and its reason. */
  describeAnswer({ status, body }: ServerAnswer): string {
    return this.redact(`it answered ${status}${reasonOf(body)}`);
  }

  /** The text without the secrets that a server may have repeated. */
  redact(text: string): string {
    return this.#secrets.reduce(
      (shown, secret) => (secret ? shown.replaceAll(secret, '***') : shown),
      text,
    );
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** All hosts, those that failed lately behind the others. */
  #inTurn(): Host[] {
    const start = this.#next % this.#hosts.length;
    this.#next = start + 1;
    const hosts = [...this.#hosts.slice(start), ...this.#hosts.slice(0, start)];
    const now = performance.now();
    const isPaused = ({ pausedUntilMs }: Host): boolean => pausedUntilMs > now;
    return [...hosts.filter((host) => !isPaused(host)), ...hosts.filter(isPaused)];
  }
}

/** A connection's failure with what is likely to mend it. */
export function describeError({ code, message }: RequestError): string {
  if (/^(?:DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)) {
    return `its certificate is not trusted (${message}): name the file of its authority with --set ca_file=PATH`;
  }
  if (/wrong version number|packet length/.test(message)) {
    return 'it does not speak TLS: write http:// in front of the host, or leave option tls out';
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return `it refuses the TLS connection (${message.trim()}); when it wants a certificate, name that with --set client_certificate_file=PATH and client_key_file=PATH`;
  }
  if (/^(?:CERT_|ERR_TLS_)/.test(code)) return `its certificate is not valid for it (${message})`;
  if (code === 'ECONNRESET' && message === 'socket hang up') {
    return 'it closed the connection without an answer; a server with TLS does that too when it is asked without: write https:// in front of the host then';
  }
  return message;
}

/** What Elasticsearch, OpenSearch or a proxy gives as a reason. */
function reasonOf(body: Buffer): string {
  const text = body.toString().trim();
  if (text === '') return ' without a reason';
  let reason = text;
  try {
    const { error } = JSON.parse(text) as { error?: string | { type?: string; reason?: string } };
    if (typeof error === 'string') reason = error;
    else if (error !== undefined) reason = `${error.type}: ${error.reason}`;
  } catch {
    // What is no JSON is shown as it is: most likely a proxy's page.
  }
  const cut =
    reason.length > quotedCharactersMax ? `${reason.slice(0, quotedCharactersMax)}...` : reason;
  return ` (${cut.replace(/\s+/g, ' ')})`;
}
