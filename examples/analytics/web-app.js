// @ts-check
// A web application that counts what happens on its own pages.
//
//     node examples/analytics/web-app.js [PORT] [SERVER] [DIRECTORY OF THE ENGINE]
//
// A page gives each event an id of its own and sends it again until it is taken. The application answers only when the bus
// has accepted the events, and the table replaces by id: an event that comes twice is counted once.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Client, Producer } from 'chukcha';
import { figuresOf } from './figures.js';
import { figuresPage, sitePage, siteScript } from './pages.js';

const category = 'visits';
const bodyBytesMax = 64 * 1024;
const eventCountMax = 100;
/** How long a page waits for the bus; it keeps its events and sends them again. */
const giveUpAfterMs = 5_000;

const [port = '3000', server = 'http://127.0.0.1:8080', directory = './analytics'] =
  process.argv.slice(2);
const client = new Client({ server });
const producer = new Producer(client, { category, giveUpAfterMs });

/** @type {Record<string, (request: import('node:http').IncomingMessage) => Promise<Answer> | Answer>} */
const routes = {
  'GET /': () => html(sitePage('Home', 'Welcome.')),
  'GET /books': () => html(sitePage('Books', 'All about geese.')),
  'GET /site.js': () => ({ status: 200, type: 'text/javascript', body: siteScript }),
  'POST /events': takeEvents,
  'GET /figures': async () => html(figuresPage(await figuresOf({ client, category, directory }))),
};

const web = createServer(async (request, response) => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  const route = routes[`${request.method} ${path}`];
  const answer = await Promise.resolve(
    route?.(request) ?? refuse(404, 'There is no such page.'),
  ).catch((error) => refuse(error.code === undefined ? 500 : 503, error.message));
  response.writeHead(answer.status, { 'Content-Type': `${answer.type}; charset=utf-8` });
  response.end(answer.body);
});
web.listen(Number(port), '127.0.0.1');
await once(web, 'listening');
const address = /** @type {import('node:net').AddressInfo} */ (web.address());
console.log(`http://127.0.0.1:${address.port}`);

process.once('SIGTERM', stop);
process.once('SIGINT', stop);

/** Takes no more requests, and has the bus accept what was taken. */
async function stop() {
  web.close();
  web.closeIdleConnections();
  await producer.close();
  client.close();
}

/** @typedef {{ status: number, type: string, body: string }} Answer */

/** @param {import('node:http').IncomingMessage} request */
async function takeEvents(request) {
  const text = await readBody(request);
  if (text === undefined) return refuse(413, `Events may have ${bodyBytesMax} bytes.`);
  const events = parseEvents(text);
  if (events === undefined) return refuse(400, 'Expected a list of events with id, kind and page.');
  const time = new Date().toISOString();
  const lines = events.map(({ id, kind, page }) => `${JSON.stringify({ id, time, kind, page })}\n`);
  await producer.send(Buffer.from(lines.join('')));
  return { status: 204, type: 'text/plain', body: '' };
}

/** @param {import('node:http').IncomingMessage} request */
async function readBody(request) {
  const pieces = [];
  let byteCount = 0;
  for await (const piece of request) {
    byteCount += piece.length;
    if (byteCount > bodyBytesMax) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

/**
 * @param {string} text
 * @returns {{ id: string, kind: string, page: string }[] | undefined}
 */
function parseEvents(text) {
  /** @type {unknown} */
  let events;
  try {
    events = JSON.parse(text);
  } catch {
    return undefined; // The caller says what was expected.
  }
  if (!Array.isArray(events) || events.length === 0 || events.length > eventCountMax)
    return undefined;
  const isGood = events.every(
    (event) =>
      /^[\w-]{1,64}$/.test(event?.id) &&
      (event.kind === 'view' || event.kind === 'click') &&
      typeof event.page === 'string' &&
      event.page.length <= 200,
  );
  return isGood ? events : undefined;
}

/**
 * @param {string} body
 * @returns {Answer}
 */
function html(body) {
  return { status: 200, type: 'text/html', body };
}

/**
 * @param {number} status
 * @param {string} sentence
 * @returns {Answer}
 */
function refuse(status, sentence) {
  return { status, type: 'text/plain', body: `${sentence}\n` };
}
