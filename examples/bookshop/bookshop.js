// A small web application that writes a log as applications do: one JSON object per request, appended to
// a file. It serves a bookshop on a free port and lets some visitors loose on it, over real HTTP, so that
// there is something to log.
//
//     node examples/bookshop/bookshop.js [LOG FILE] [NUMBER OF REQUESTS]
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import { finished } from 'node:stream/promises';

const [, , logPath = 'bookshop.log', requestCount = '200'] = process.argv;

const books = [
  { id: 1, title: 'Сказки народов Севера', author: 'various', price: 12.5, stock: 7 },
  { id: 2, title: 'The Snow Geese', author: 'W. Fiennes', price: 9.9, stock: 3 },
  { id: 3, title: 'Arctic Dreams', author: 'B. Lopez', price: 14, stock: 11 },
  { id: 4, title: 'Fräulein Smillas Gespür für Schnee', author: 'P. Høeg', price: 11.2, stock: 1 },
  { id: 5, title: '雪国', author: '川端康成', price: 8.4, stock: 5 },
];

const log = createWriteStream(logPath, { flags: 'a' });

/** Answers a request; returns what is worth logging of it besides the request itself. */
async function handle(request, response) {
  const url = new URL(request.url, 'http://bookshop');
  const reply = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
    return status;
  };
  if (request.method === 'GET' && url.pathname === '/books') {
    const wanted = url.searchParams.get('author')?.toLowerCase();
    const found = books.filter((book) => !wanted || book.author.toLowerCase().includes(wanted));
    return { status: reply(200, found), found: found.length };
  }
  const book = books.find(
    ({ id }) => url.pathname === `/books/${id}` || url.pathname === `/books/${id}/orders`,
  );
  if (book === undefined) return { status: reply(404, { error: 'no such book' }) };
  if (request.method === 'GET') return { status: reply(200, book), book: book.id };
  let body = '';
  for await (const piece of request) body += piece;
  const { count } = JSON.parse(body);
  if (!(count >= 1))
    return { status: reply(400, { error: 'count must be 1 or more' }), book: book.id, count };
  if (book.stock < count)
    return {
      status: reply(409, { error: 'not enough in stock' }),
      book: book.id,
      title: book.title,
      count,
    };
  book.stock -= count;
  return {
    status: reply(201, { order: randomUUID() }),
    book: book.id,
    title: book.title,
    count,
    total: count * book.price,
  };
}

const server = createServer(async (request, response) => {
  const started = performance.now();
  const entry = {
    time: new Date().toISOString(),
    level: 'info',
    method: request.method,
    path: request.url,
  };
  try {
    Object.assign(entry, await handle(request, response));
  } catch (error) {
    response.writeHead(500).end();
    Object.assign(entry, { level: 'error', status: 500, error: error.message });
  }
  const visitor = request.headers['x-visitor'];
  log.write(
    `${JSON.stringify({ ...entry, ms: Number((performance.now() - started).toFixed(2)), visitor })}\n`,
  );
});

/** What a visitor does next: mostly looking, sometimes buying, now and then something silly. */
function nextVisit() {
  const id = 1 + Math.floor(Math.random() * (books.length + 1));
  const dice = Math.random();
  if (dice < 0.3)
    return { path: `/books?author=${encodeURIComponent(['lopez', 'Høeg', '川端', ''][id % 4])}` };
  if (dice < 0.75) return { path: `/books/${id}` };
  if (dice < 0.97)
    return { path: `/books/${id}/orders`, method: 'POST', body: JSON.stringify({ count: id % 3 }) };
  return { path: `/books/${id}/orders`, method: 'POST', body: '{"count":' };
}

await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${server.address().port}`;
for (let visit = 0; visit < Number(requestCount); visit += 1) {
  const { path, ...options } = nextVisit();
  const response = await fetch(base + path, {
    ...options,
    headers: { 'x-visitor': `v${visit % 7}` },
  });
  await response.arrayBuffer();
}
server.close();
server.closeAllConnections();
log.end();
await finished(log);
console.error(`${requestCount} requests are in ${logPath}`);
