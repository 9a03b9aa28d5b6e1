import { connect, type Socket } from 'node:net';

export interface PostLoad {
  readonly url: URL;
  readonly path: string;
  readonly body: Buffer;
  readonly connectionCount: number;
  /** How many requests to send in all. */
  readonly requestCount: number;
}

/**
 * Posts the same body again and again over some connections, the next one when the last was answered, and
 * returns the time of each request in milliseconds. It speaks HTTP by hand: Node's own client would use
 * more processor time than the server under test.
 */
export async function postLoad(load: PostLoad): Promise<number[]> {
  const head = Buffer.from(
    `POST ${load.path} HTTP/1.1\r\nHost: ${load.url.host}\r\nContent-Length: ${load.body.length}\r\n\r\n`,
  );
  const request = Buffer.concat([head, load.body]);
  const timesMs: number[] = [];
  let left = load.requestCount;
  const runConnection = async (): Promise<void> => {
    const socket = await open(load.url);
    while (left > 0) {
      left -= 1;
      const startMs = performance.now();
      await exchange(socket, request);
      timesMs.push(performance.now() - startMs);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: load.connectionCount }, runConnection));
  return timesMs;
}

function open(url: URL): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends a request and waits for the whole answer, which must be a 200. */
function exchange(socket: Socket, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const onData = (piece: Buffer): void => {
      answer += piece.toString('latin1');
      const headEnd = answer.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      // Node sends short bodies that are ended at once with their length, and others in pieces.
      const length = /content-length: (\d+)/i.exec(answer)?.[1];
      const complete =
        length === undefined
          ? answer.endsWith('0\r\n\r\n')
          : answer.length >= headEnd + 4 + Number(length);
      if (!complete) return;
      socket.off('data', onData);
      socket.off('error', onError);
      if (answer.startsWith('HTTP/1.1 200 ')) resolve();
      else reject(new Error(`A request was answered with ${answer.slice(0, 300)}`));
    };
    const onError = (error: Error): void => reject(error);
    socket.on('data', onData);
    socket.once('error', onError);
    socket.write(request);
  });
}
