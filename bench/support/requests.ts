/**
 * A whole request. The servers under test take any host.
 *
 * @param lines more of the head, each with its end
 */
export function makeRequest(
  method: 'GET' | 'POST',
  path: string,
  body?: Buffer,
  lines = '',
): Buffer {
  const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`;
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: bench\r\n${lines}${length}\r\n`);
  return body === undefined ? head : Buffer.concat([head, body]);
}

/** The same request always, for `HttpLoad.takeRequests`; at most `countMax` at a time. */
export function repeatRequest(request: Buffer, countMax = 1): (count: number) => Buffer {
  const requests = Buffer.concat(new Array<Buffer>(countMax).fill(request));
  return (count) => requests.subarray(0, count * request.length);
}

/** Some requests, one after another and over again, for a load that sends one at a time. */
export function cycleRequests(requests: readonly Buffer[]): (count: number) => Buffer {
  let next = 0;
  return () => {
    const request = requests[next % requests.length];
    next += 1;
    if (request === undefined) throw new RangeError('There are no requests to send.');
    return request;
  };
}
