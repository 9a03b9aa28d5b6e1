import type { Context } from 'koa';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { paths } from '../../protocol/http-api.js';
import { type ConsoleFile, consoleFiles, consolePageName } from '../console-files.js';
import type { Route } from '../route.js';

/** How much of a name that is not there an error repeats. */
const quotedLengthMax = 80;

/**
 * The page may load its own files and call its own node, and nothing else: no inline code, no other host, no frame
 * around it, and no way to make a text into markup.
 */
const securityHeaders = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

/** `GET /console`: the page. It has no data of its own: what it shows it asks for, with the reader's token. */
export const consoleRoute: Route = {
  path: paths.console,
  // It holds no data: what the page shows it asks for with the token of who looks at it.
  right: 'open',
  methods: ['GET', 'HEAD'],
  queryNames: [],
  handle: (context) => sendFile(context, consolePageName),
};

/** `GET /console/<file>`: what the page consists of. */
export const consoleFileRoute: Route = {
  path: `${paths.console}/<file>`,
  // It holds no data: what the page shows it asks for with the token of who looks at it.
  right: 'open',
  methods: ['GET', 'HEAD'],
  queryNames: [],
  handle: (context, query) => sendFile(context, query.required('file')),
};

async function sendFile(context: Context, name: string): Promise<void> {
  const file = (await consoleFiles()).get(name);
  if (file === undefined) {
    throw new ChukchaError(
      'not_found',
      `The console has no file ${JSON.stringify(name.slice(0, quotedLengthMax))}: open ${paths.console}.`,
    );
  }
  context.respond = false;
  const entityTag = `"${file.tag}"`;
  const isKnown = context.get('If-None-Match').split(/,\s*/).includes(entityTag);
  context.res.writeHead(isKnown ? 304 : 200, headersOf(file, entityTag, isKnown));
  context.res.end(isKnown || context.method === 'HEAD' ? undefined : file.bytes);
}

/** A browser asks each time whether its copy is still the right one: after an upgrade no file is of another version. */
function headersOf(
  { contentType, bytes }: ConsoleFile,
  entityTag: string,
  isKnown: boolean,
): Record<string, string | number> {
  return {
    ...securityHeaders,
    'Cache-Control': 'no-cache',
    ETag: entityTag,
    ...(isKnown ? {} : { 'Content-Type': contentType, 'Content-Length': bytes.length }),
  };
}
