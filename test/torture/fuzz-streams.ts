import type { SeededRandom } from '../../src/common/seeded-random.js';
import { encodeFrame, type FrameKind, frameKinds } from '../../src/protocol/frames.js';
import { replicationPath, replicationQueryNames } from '../../src/protocol/replication.js';
import type { FuzzFacts } from './fuzz-requests.js';

/** The kinds of frames that a client or a peer may send, most of the time. */
const kindsOf: Readonly<Record<string, readonly FrameKind[]>> = {
  '/produce': [frameKinds.batch, frameKinds.batch, frameKinds.heartbeat],
  '/consume': [frameKinds.credit, frameKinds.start, frameKinds.ack, frameKinds.heartbeat],
  [replicationPath]: [
    frameKinds.have,
    frameKinds.haveEnd,
    frameKinds.position,
    frameKinds.want,
    frameKinds.pause,
    frameKinds.acksTaken,
  ],
};

const names: readonly string[] = [
  ...['', 'node1-chunk000000000', 'logs/node1-chunk000000000', 'a/node1-chunk000000001'],
  ...[
    'logs/node2-chunk000000000',
    '../x',
    '/',
    'logs/',
    '\xff',
    'x'.repeat(300),
    'logs/../x-chunk000000000',
  ],
];

const texts: readonly string[] = [
  ...['', 'a\n', 'a', 'a\nb\n', '\0\n', '{}', '[]', 'null', '{', '\xff\xfe'],
  '{"owners":{"node1":{"index":0,"offset":0}}}',
  '{"owners":{"node1":{"index":-1,"offset":1e99}}}',
  '{"owners":{"__proto__":{"index":0,"offset":0}}}',
  '{"owners":[]}',
  '{"category":"logs","chunks":[]}',
  '{"category":"logs","chunks":[[0,2,true],[1,0,false]]}',
  '{"category":"logs","chunks":[[0,9007199254740991,true]]}',
  '{"category":"never-written","chunks":[[0,0,false]]}',
  '{"category":"../x","chunks":[]}',
  '{"category":"logs","chunks":[null]}',
  '{"category":"logs","chunks":["node1-chunk000000000"]}',
  '{"category":"logs","next":1}',
  `{"category":"logs","chunks":[${'[0,0,false],'.repeat(2_000)}[0,0,false]]}`,
  `${'['.repeat(5_000)}`,
  `${'y'.repeat(70_000)}\n`,
];

const numbers: readonly number[] = [0, 1, 2, 3, 100, 65_536, 2 ** 31, 2 ** 32, 2 ** 53 - 1];

/** A stream that is opened as it should be, most likely, and frames of which some are not what they should be. */
export function fuzzStream(random: SeededRandom, facts: FuzzFacts): string {
  const path = random.pick(Object.keys(kindsOf));
  const query = queryOf(random, path, facts);
  const lines = [`GET ${path}?${query} HTTP/1.1`, 'Host: node'];
  lines.push(
    'Connection: Upgrade',
    `Upgrade: ${random.integer(0, 19) === 0 ? 'h2c' : 'chukcha/1'}`,
  );
  if (path === '/produce' && random.integer(0, 1) === 0) {
    lines.push(`Chukcha-Producer: ${random.pick(['p', random.hex(8)])}`);
  }
  if (facts.authorizations.length > 0) {
    lines.push(`Authorization: ${random.pick(facts.authorizations)}`);
  }
  const frames = Array.from({ length: random.integer(0, 12) }, () => frameOf(random, path));
  const rest = random.integer(0, 9) === 0 ? random.hex(random.integer(0, 40)) : '';
  const bytes = Buffer.concat([...frames, Buffer.from(rest)]);
  return `${lines.join('\r\n')}\r\n\r\n${bytes.toString('latin1')}`;
}

function queryOf(random: SeededRandom, path: string, { hello }: FuzzFacts): string {
  if (path !== replicationPath) {
    return `category=${random.pick(['logs', 'a', 'never-written'])}${random.pick(['', '&group=a'])}`;
  }
  const odd = random.pick([undefined, undefined, undefined, ...replicationQueryNames]);
  return replicationQueryNames
    .map((name) => `${name}=${name === odd ? random.pick(['x', '0', '99']) : (hello[name] ?? '1')}`)
    .join('&');
}

function frameOf(random: SeededRandom, path: string): Buffer {
  const kind =
    random.integer(0, 9) === 0
      ? random.pick(Object.values(frameKinds))
      : random.pick(kindsOf[path] ?? []);
  const frame = encodeFrame(kind, {
    flags: random.integer(0, 3) === 0 ? random.integer(0, 255) : 0,
    name: kind === frameKinds.batch || random.integer(0, 1) === 0 ? '' : random.pick(names),
    number: random.pick(numbers),
    offset: random.pick(numbers),
    text:
      kind === frameKinds.batch
        ? random.pick(['a\n', 'bb\n', random.pick(texts)])
        : random.pick(texts),
  });
  if (random.integer(0, 7) > 0) return frame;
  const at = random.integer(0, Math.min(30, frame.length - 1));
  frame[at] = random.integer(0, 255);
  return random.integer(0, 3) === 0 ? frame.subarray(0, random.integer(0, frame.length)) : frame;
}
