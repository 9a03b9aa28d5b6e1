import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** What the proxy answers itself; `undefined` for what the node is to answer. */
export type Refusal = (asked: {
  readonly path: string;
  readonly token: string | undefined;
}) => OwnAnswer | undefined | Promise<OwnAnswer | undefined>;

interface OwnAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * A proxy in front of a node that answers some calls itself, for what the node cannot be made to answer. It is a fake
 * of a node with other answers, and shows nothing of how a real one comes to them.
 */
export async function startRefusingProxy(
  t: Test,
  target: string,
  refuse: Refusal,
): Promise<string> {
  const server = createServer(async (incoming, outgoing) => {
    const refusal = await refuse({ path: incoming.url ?? '', token: tokenOf(incoming) });
    if (refusal !== undefined) {
      outgoing.writeHead(refusal.status, { 'Content-Type': 'application/json' });
      outgoing.end(JSON.stringify(refusal.body));
      return;
    }
    const { method, headers } = incoming;
    const onward = request(target + incoming.url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      // A stream says by its head that it has begun.
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function tokenOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
}
