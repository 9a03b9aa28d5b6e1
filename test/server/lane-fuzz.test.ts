import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createHttpServer } from '../../src/server/http-server.js';
import { type RawAnswer, RawConnection } from '../support/raw-connection.js';
import { mutatedRequest, validRequest } from '../support/request-mutations.js';
import { checkProperty, type SeededRandom } from '../support/seeded-random.js';
import { startServer, type TestServer, write } from '../support/test-server.js';

/** How many conversations are held with both servers. */
const conversationCount = Number(process.env['CHUKCHA_FUZZ_CONVERSATIONS'] ?? 700);

/** How many are held at a time: most of their time is waiting for answers that do not come. */
const concurrency = 40;

/**
 * A server that says nothing for so long waits for more bytes. A difference is looked at again with more: the first write to
 * a category takes seconds when others use the disk.
 */
const quietMs = 100;
const quietAgainMs = 10_000;

const lastRequest = 'GET /listCategories HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

interface Sides {
  /** The node, with the lane. */
  readonly node: TestServer;
  /** The same application behind Node's HTTP server alone. */
  readonly plain: TestServer;
  readonly plainUrl: string;
}

async function startSides(t: Test): Promise<Sides> {
  const options = { batchBytesMax: 2_000, chunkBytesMax: 1024 * 1024 };
  const root = t.testdir({ node: {}, plain: {} });
  const node = await startServer({ directory: join(root, 'node'), ...options });
  const plain = await startServer({ directory: join(root, 'plain'), ...options });
  for (const side of [node, plain]) await write(side, 'one\ntwo\nthree\n');
  const server = createHttpServer(plain.ports);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const plainUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { node, plain, plainUrl };
}

/** What a conversation sends: requests of which some are not as they should be, cut anywhere. */
interface Conversation {
  readonly category: string;
  readonly names: readonly string[];
  /** What is sent before each pause. */
  readonly steps: readonly (readonly Buffer[])[];
}

function makeConversation(random: SeededRandom): Conversation {
  const category = `c${random.hex(6)}`;
  const names: string[] = [];
  const requests: string[] = [];
  for (let left = random.integer(1, 4); left > 0; left -= 1) {
    if (random.fraction() < 0.5) {
      requests.push(validRequest(random, category));
      continue;
    }
    const { name, request } = mutatedRequest(random, category);
    names.push(name);
    requests.push(request);
  }
  requests.push(lastRequest);
  const steps = random.fraction() < 0.5 ? requests : [requests.join('')];
  return {
    category,
    names,
    steps: steps.map((step) =>
      random.split(Buffer.from(step, 'latin1'), random.pick([1, 1, 4, 30])),
    ),
  };
}

interface Outcome {
  /** The statuses, with the codes of errors, but for the refusal of the parser. */
  readonly answers: readonly string[];
  /** Whether the parser refused something, which ends the connection. */
  readonly refused: boolean;
  readonly stored: string;
}

async function hold(
  url: string,
  directory: string,
  { category, steps }: Conversation,
  waitMs: number,
): Promise<Outcome> {
  const connection = new RawConnection(url);
  for (const pieces of steps) {
    for (const piece of pieces) {
      connection.send(piece);
      await new Promise(setImmediate);
    }
    await Promise.race([connection.heardMore(), connection.quiet(waitMs)]);
  }
  await connection.quiet(waitMs);
  const closedByServer = connection.socket.closed;
  connection.socket.destroy();
  const answers = await connection.answersUntilClose();
  const refusal = answers.findIndex(({ body }) => /not valid HTTP|"head_too_large"/.test(body));
  const toTheEnd = answers.at(-1)?.body.startsWith('[') ?? false;
  return {
    answers: answers.slice(0, refusal === -1 ? undefined : refusal).map(describe),
    refused: refusal !== -1 || (closedByServer && !toTheEnd),
    stored: await storedIn(join(directory, category)),
  };
}

function describe({ status, body }: RawAnswer): string {
  return `${status} ${/"code":"(\w+)"/.exec(body)?.[1] ?? ''}`;
}

async function storedIn(directory: string): Promise<string> {
  const names = await readdir(directory).catch(() => []);
  const contents = await Promise.all(
    names.sort().map((name) => readFile(join(directory, name), 'latin1')),
  );
  return contents.join('|');
}

/**
 * Tells how the node differs from the plain server; `undefined` when it does not. What the parser refuses may
 * overtake answers and stores that are on their way, on either side; then one side has the beginning of the
 * other.
 */
function difference(node: Outcome, plain: Outcome): string | undefined {
  const { refused } = plain;
  const [less, more] = node.stored.length < plain.stored.length ? [node, plain] : [plain, node];
  const storedAgrees = refused ? more.stored.startsWith(less.stored) : less.stored === more.stored;
  const answersAgree = refused
    ? isPartOf(plain, node) || isPartOf(node, plain)
    : node.answers.join() === plain.answers.join();
  if (node.refused === refused && storedAgrees && answersAgree) return undefined;
  return `node ${JSON.stringify(node)}, plain ${JSON.stringify(plain)}`;
}

/** Whether the answers of the one are among those of the other, in order. */
function isPartOf(part: Outcome, whole: Outcome): boolean {
  let at = 0;
  for (const answer of whole.answers) if (answer === part.answers[at]) at += 1;
  return at === part.answers.length;
}

await t.test('the lane takes nothing that Node would read in another way', async (t) => {
  const sides = await startSides(t);
  await checkProperty(t, 1, async (random) => {
    const conversations = Array.from({ length: conversationCount }, () => makeConversation(random));
    const check = async (): Promise<void> => {
      for (let next = conversations.pop(); next !== undefined; next = conversations.pop()) {
        const found = await compare(sides, next, quietMs);
        if (found === undefined) continue;
        const foundAgain = await compare(sides, renamed(next), quietAgainMs);
        if (foundAgain !== undefined) {
          const sent = JSON.stringify(
            next.steps.map((pieces) => Buffer.concat(pieces).toString('latin1')),
          );
          throw new Error(`${next.names.join(', ')}: ${foundAgain}\nsent ${sent.slice(0, 3_000)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, check));
  });
  await sides.node.close();
  await sides.plain.close();
});

async function compare(
  { node, plain, plainUrl }: Sides,
  conversation: Conversation,
  waitMs: number,
): Promise<string | undefined> {
  const [laned, plainly] = await Promise.all([
    hold(node.url, node.directory, conversation, waitMs),
    hold(plainUrl, plain.directory, conversation, waitMs),
  ]);
  return difference(laned, plainly);
}

/** The same under another name of the same length, since the first may be used up. */
function renamed({ category, names, steps }: Conversation): Conversation {
  const other = category.replace('c', 'd');
  return {
    category: other,
    names,
    steps: steps.map((pieces) => {
      const text = Buffer.concat(pieces).toString('latin1').replaceAll(category, other);
      let at = 0;
      return pieces.map((piece) => {
        at += piece.length;
        return Buffer.from(text.slice(at - piece.length, at), 'latin1');
      });
    }),
  };
}
