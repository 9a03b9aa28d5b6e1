import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What happens to requests that insert:
 * - `pass`: they go through, as all others always do
 * - `drop`: the target carries them out, and the connection breaks instead of the answer
 * - `hang`: the target carries them out, and nothing is answered
 * - `half`: the target carries them out, and the answer breaks off in the middle
 * - a status: the target does not see them, and this is answered
 * - a refusal: as if the target had answered so
 */
export type Fault =
  | 'pass'
  | 'drop'
  | 'hang'
  | 'half'
  | number
  | { readonly status: number; readonly headers: Record<string, string>; readonly text: string };

export interface SeenInsert {
  readonly parameters: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** An HTTP proxy that treats inserts badly, and keeps what it saw of them. */
export class FaultProxy {
  readonly port: number;
  readonly inserts: SeenInsert[] = [];
  readonly #targetPort: number;
  readonly #server: Server;
  #faults: Fault[] = [];

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (incoming, outgoing) => {
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, targetPort);
  }

  /** The next inserts meet these, one after the other; later ones pass. */
  next(...faults: Fault[]): void {
    this.inserts.length = 0;
    this.#faults = faults;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await collect(incoming);
    const parameters = new URL(incoming.url ?? '/', 'http://proxy').searchParams;
    const isInsert = parameters.get('query')?.startsWith('INSERT') ?? false;
    const fault = (isInsert ? this.#faults.shift() : undefined) ?? 'pass';
    if (isInsert) this.inserts.push({ parameters, headers: incoming.headers, body });
    if (typeof fault === 'number') {
      outgoing.writeHead(fault).end('<html>out of order</html>');
    } else if (typeof fault === 'object') {
      outgoing.writeHead(fault.status, fault.headers).end(fault.text);
    } else {
      await this.#forward(incoming, body, outgoing, fault);
    }
  }

  async #forward(
    incoming: IncomingMessage,
    body: Buffer,
    outgoing: ServerResponse,
    fault: 'pass' | 'drop' | 'hang' | 'half',
  ): Promise<void> {
    const forwarded = request({
      port: this.#targetPort,
      host: '127.0.0.1',
      method: incoming.method,
      path: incoming.url,
      headers: { ...incoming.headers, 'content-length': body.length, 'transfer-encoding': '' },
    });
    forwarded.removeHeader('transfer-encoding');
    forwarded.end(body);
    const [response] = (await once(forwarded, 'response')) as [IncomingMessage];
    const answer = await collect(response);
    if (fault === 'hang') return;
    if (fault === 'drop') {
      outgoing.destroy();
    } else if (fault === 'half') {
      outgoing.writeHead(response.statusCode ?? 0, { 'content-length': answer.length + 10 });
      outgoing.write(answer);
      outgoing.flushHeaders();
      setImmediate(() => outgoing.destroy());
    } else {
      outgoing.writeHead(response.statusCode ?? 0, response.headers).end(answer);
    }
  }
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}
