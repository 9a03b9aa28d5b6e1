import { type ErrorMeaning, errorCodes } from '../../src/protocol/error-codes.js';
import { code, escapeText, page, table } from './markdown.js';

/** What can go wrong between a client and a node, and what a client may do about it. */
export function errorsPage(): string {
  const rows = Object.entries(errorCodes) as [string, ErrorMeaning][];
  return page('Errors', [
    'A code stays as it is; the message with it is for people and may change. "Again" says whether the same call may succeed later. A node answers with `{"error":{"code","message",...}}`; in the library ' +
      'it is a [`ChukchaError`](library.md#chukchaerror).',
    '## What a node answers',
    table(
      ['code', 'status', 'again', 'meaning'],
      rows
        .filter(([, { status }]) => status !== 0)
        .map(([name, { status, retryable, meaning }]) => [
          code(name),
          String(status),
          retryable ? 'yes' : 'no',
          escapeText(meaning),
        ]),
    ),
    '## What is found on the side of the client',
    'By the library or a command; no node sends them.',
    table(
      ['code', 'again', 'meaning'],
      rows
        .filter(([, { status }]) => status === 0)
        .map(([name, { retryable, meaning }]) => [
          code(name),
          retryable ? 'yes' : 'no',
          escapeText(meaning),
        ]),
    ),
  ]);
}
