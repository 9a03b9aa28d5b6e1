// A program: the HTTP interface of ClickHouse in front of the engine of chdb, in a directory. The engine is real; what is
// imitated is the way to it: parameters, compression, one user with a password, headers and status of errors. It prints its
// port, and takes `{ password }` by IPC.
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Session } from 'chdb';

const [directory = '', port = '0'] = process.argv.slice(2);
let password = process.env['FACE_PASSWORD'] ?? '';
const session = new Session(join(directory, 'data'));
let busy: Promise<unknown> = Promise.resolve();

/** Parameters of a request that are no settings. */
const ownParameters = new Set([
  'query',
  'database',
  'user',
  'password',
  'default_format',
  'wait_end_of_query',
  'query_id',
  'session_id',
  'role',
  'enable_http_compression',
]);

const statusOfCode: Readonly<Record<string, number>> = {
  '16': 404,
  '36': 400,
  '60': 404,
  '62': 400,
  '81': 404,
  '497': 403,
  '516': 403,
};

interface Refusal {
  readonly code: string;
  readonly text: string;
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    response.writeHead(500).end(String(error));
  });
});
server.keepAliveTimeout = 10_000;
server.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.on('message', (message: { readonly password: string }) => {
  password = message.password;
  process.send?.('done');
});
process.on('disconnect', () => process.exit());

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  const sent = Buffer.concat(pieces);
  const url = new URL(request.url ?? '/', 'http://face');
  if (url.pathname === '/ping') {
    response.end('Ok.\n');
    return;
  }
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
  const [user, given] = credentialsOf(request, url.searchParams);
  if (user !== 'default' || given !== password) {
    refuse(response, {
      code: '516',
      text: `Code: 516. DB::Exception: ${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
    });
    return;
  }
  const result = busy.then(() => carryOut(url.searchParams, body));
  busy = result.catch(() => undefined);
  await result.then(
    (bytes) => succeed(request, response, bytes),
    (error: unknown) => refuse(response, refusalOf(error)),
  );
}

function credentialsOf(request: IncomingMessage, parameters: URLSearchParams): string[] {
  const basic = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const text = Buffer.from(basic, 'base64').toString();
    return [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
  }
  const header = (name: string): string | undefined => request.headers[name]?.toString();
  return [
    header('x-clickhouse-user') ?? parameters.get('user') ?? 'default',
    header('x-clickhouse-key') ?? parameters.get('password') ?? '',
  ];
}

async function carryOut(parameters: URLSearchParams, body: Buffer): Promise<Uint8Array> {
  const settings = [...parameters].filter(([name]) => !ownParameters.has(name));
  await run(`USE \`${parameters.get('database') ?? 'default'}\``);
  const statement = parameters.get('query');
  const insert = /^\s*(INSERT INTO [\s\S]*?)\s+FORMAT\s+(\w+)\s*$/i.exec(statement ?? '');
  if (insert !== null) {
    // Rows never become a part of the statement: there an empty line would end them.
    const path = join(directory, 'rows');
    writeFileSync(path, body);
    const list = settings.map(([name, value]) => `${name} = ${quote(value)}`).join(', ');
    const clause = list === '' ? '' : ` SETTINGS ${list}`;
    return run(
      `${insert[1]} FROM INFILE ${quote(path)} COMPRESSION 'none'${clause} FORMAT ${insert[2]}`,
    );
  }
  for (const [name, value] of settings) await run(`SET ${name} = ${quote(value)}`);
  try {
    const text = statement === null ? body.toString() : `${statement}\n${body.toString()}`;
    return await run(text, parameters.get('default_format') ?? 'TabSeparated');
  } finally {
    for (const [name] of settings)
      if (!name.startsWith('param_')) await run(`SET ${name} = DEFAULT`);
  }
}

async function run(statement: string, format = 'TabSeparated'): Promise<Uint8Array> {
  return (await session.queryAsync(statement, { format })).bytes();
}

function succeed(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array): void {
  response.setHeader('X-ClickHouse-Query-Id', 'face');
  response.setHeader('X-ClickHouse-Summary', '{}');
  const wantsGzip = request.headers['accept-encoding']?.includes('gzip') ?? false;
  if (wantsGzip) response.setHeader('Content-Encoding', 'gzip');
  response.end(wantsGzip ? gzipSync(bytes) : bytes);
}

function refusalOf(error: unknown): Refusal {
  const text = error instanceof Error ? error.message : String(error);
  return { code: /Code: (\d+)/.exec(text)?.[1] ?? '1002', text };
}

function refuse(response: ServerResponse, { code, text }: Refusal): void {
  const isData = /CANNOT_|INCORRECT_DATA|TYPE_MISMATCH/.test(text);
  response.writeHead(statusOfCode[code] ?? (isData ? 400 : 500), {
    'X-ClickHouse-Exception-Code': code,
    'Content-Type': 'text/plain; charset=UTF-8',
  });
  response.end(`${text}\n`);
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
