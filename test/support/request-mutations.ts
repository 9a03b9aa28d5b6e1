import { readRequest, writeRequest } from './raw-connection.js';
import type { SeededRandom } from './seeded-random.js';

type Mutation = (request: string, random: SeededRandom) => string;

/** Puts lines behind the request line. */
const withLines =
  (...lines: readonly string[]): Mutation =>
  (request) =>
    request.replace('\r\n', `\r\n${lines.join('\r\n')}\r\n`);

const replaced =
  (pattern: RegExp | string, by: string): Mutation =>
  (request) =>
    request.replace(pattern, by);

const lengths = ['+2', ' 2', '2 ', '0x2', '02', '2,2', '2, 2', '', '-1', '1e0', '99999999999', '0'];
const transfers = [
  'chunked',
  'Chunked',
  ' chunked',
  'identity',
  'gzip, chunked',
  'chunked, chunked',
];
const methods = ['post', 'PUT', 'GET', 'HEAD', 'PRI', 'POST ', ' POST', 'POST\t', 'OPTIONS'];
const versions = ['HTTP/1.0', 'http/1.1', 'HTTP/2.0', 'HTTP/1.10', 'HTTP/1.1 ', ' HTTP/1.1', ''];
const odd = [
  '\0',
  '\n',
  '\r',
  '\t',
  ' ',
  ':',
  '\x7f',
  '\x80',
  '\r\n',
  '\r\n\r\n',
  '%',
  '+',
  '&',
  '=',
];

/** Kinds of requests that parsers are known to read differently. */
const mutations: Readonly<Record<string, Mutation>> = {
  'the same length twice': (request) =>
    request.replace(/Content-Length: \d+\r\n/, (line) => line + line),
  'another length': withLines('Content-Length: 1'),
  'an odd length': (request, random) =>
    request.replace(/(Content-Length:).*\r\n/, `$1 ${random.pick(lengths)}\r\n`),
  'a length and a transfer coding': (request, random) =>
    withLines(`Transfer-Encoding: ${random.pick(transfers)}`)(request, random),
  'a transfer coding in another case': (request, random) =>
    withLines(`tRANSFER-eNCODING: ${random.pick(transfers)}`)(request, random),
  'a chunked body': (request) => {
    const [head = '', body = ''] = request.split('\r\n\r\n');
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    return `${head.replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked')}\r\n\r\n${chunked}`;
  },
  'an expectation': (request, random) =>
    withLines(`Expect: ${random.pick(['100-continue', '100-Continue', 'more'])}`)(request, random),
  'one bare LF': (request, random) => {
    const lines = request.split('\r\n');
    const at = random.integer(1, lines.length - 1);
    return `${lines.slice(0, at).join('\r\n')}\n${lines.slice(at).join('\r\n')}`;
  },
  'only bare LFs': (request) => request.replaceAll('\r\n', '\n'),
  'only bare CRs': (request) => request.replaceAll('\r\n', '\r'),
  'a folded header': withLines('Accept: a,', ' b'),
  'a header folded by a tab': withLines('Accept: a,', '\tb'),
  'a folded length': replaced('Content-Length: ', 'Content-Length:\r\n '),
  'a tab before a value': replaced('Content-Length: ', 'Content-Length:\t'),
  'blanks around a value': replaced(/Host: x/, 'Host:   x  '),
  'no blank before a value': replaced('Host: x', 'Host:x'),
  'a blank before a colon': replaced('Content-Length:', 'Content-Length :'),
  'a blank before a name': replaced('Host', ' Host'),
  'a line without a colon': withLines('Nothing'),
  'a name that is empty': withLines(': 1'),
  'an absolute address': replaced(/ \//, ' http://x/'),
  'another version': (request, random) =>
    request.replace(/ ?HTTP\/1\.1/, ` ${random.pick(versions)}`),
  'another method': (request, random) => request.replace(/^\w+/, random.pick(methods)),
  'a large head': (request, random) =>
    withLines(`Accept: ${'x'.repeat(random.pick([3_000, 4_050, 5_000, 15_000, 20_000]))}`)(
      request,
      random,
    ),
  'many headers': (request, random) =>
    withLines(...Array.from({ length: random.integer(1, 60) }, (_, index) => `X-${index}: 1`))(
      request,
      random,
    ),
  'no host': replaced('Host: x\r\n', ''),
  'two hosts': withLines('Host: y'),
  'an end of the connection': withLines('Connection: close'),
  'a kept connection': withLines('connection: Keep-Alive'),
  'an upgrade': withLines('Connection: Upgrade', 'Upgrade: h2c'),
  'a coding of the content': (request, random) =>
    withLines(`Content-Encoding: ${random.pick(['gzip', 'identity', 'br', ''])}`)(request, random),
  'lines before the request': (request, random) => '\r\n'.repeat(random.integer(1, 3)) + request,
  'an encoded query': replaced('category=', '%63ategory='),
  'a query with a plus': replaced('category=', 'category=+'),
  'a parameter twice': replaced('?category=', '?category=z&category='),
  'an unknown parameter': replaced('?', '?unknown=1&'),
  'an odd parameter': (request, random) =>
    request.replace('?', `?${random.pick(['sync_each_write=yes&', '&', '=&', 'off=&', 'a', '#'])}`),
  'a parameter of the call': (request, random) =>
    request.replace(
      '?',
      `?${random.pick(['sync_each_write=1&', 'min_sync_replicas=1&', 'off=1&'])}`,
    ),
  'a stamp': (request, random) =>
    withLines(
      `Chukcha-Producer: ${random.pick(['p', 'a.b', 'p, q'])}`,
      `Chukcha-Sequence: ${random.pick(['1', '-1', '1e3', '01'])}`,
    )(request, random),
  'half a stamp': withLines('Chukcha-Producer: p'),
  'an odd byte in the head': (request, random) => {
    const at = random.integer(0, request.indexOf('\r\n\r\n') + 3);
    return request.slice(0, at) + random.pick(odd) + request.slice(at + random.integer(0, 1));
  },
  'a byte that is missing': (request, random) => {
    const at = random.integer(0, request.length - 1);
    return request.slice(0, at) + request.slice(at + 1);
  },
  'a cut end': (request, random) => request.slice(0, random.integer(0, request.length)),
};

/** A request that is most likely not as it should be, and what was done to it. */
export function mutatedRequest(
  random: SeededRandom,
  category: string,
): { readonly name: string; readonly request: string } {
  const name = random.pick(Object.keys(mutations));
  const request = (mutations[name] as Mutation)(validRequest(random, category), random);
  return { name, request };
}

/**
 * A request of the kinds that the fast lane takes, and now and then another one. Reads are of the category
 * `logs`, because a read behind a write of the same category need not see it.
 */
export function validRequest(random: SeededRandom, category: string): string {
  const kind = random.integer(0, 9);
  if (kind === 0) return 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n';
  if (kind <= 2) {
    return readRequest(random.pick(['', '&off=0', '&off=2&max_size=1', '&off=999']));
  }
  const body = `${'l'.repeat(random.pick([0, 1, 5, 300, 1_500, 2_100]))}${random.pick(['\n', '\n', ''])}`;
  const extra = random.pick([
    '',
    'User-Agent: a b\r\n',
    'accept: */*\r\nConnection: keep-alive\r\n',
  ]);
  return writeRequest(body, category, extra);
}
