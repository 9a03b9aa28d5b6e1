import { Agent } from 'node:http';
import t from 'tap';
import { ChukchaError, errorCode, errorMessage } from '../../src/protocol/chukcha-error.js';
import { type ErrorCode, errorCodes, isErrorCode } from '../../src/protocol/error-codes.js';

const codes = Object.keys(errorCodes) as ErrorCode[];

await t.test('every code has a status, an answer to "again?" and a meaning', async (t) => {
  for (const code of codes) {
    const { status, retryable, meaning } = errorCodes[code];
    t.match(code, /^[a-z]+(_[a-z]+)*$/);
    t.ok(status === 0 || (status >= 400 && status <= 599), `${code} has status ${status}`);
    t.type(retryable, 'boolean');
    t.match(meaning, /^[A-Z].*\.$/, `${code} has a sentence`);
    const error = new ChukchaError(code, 'What failed.');
    t.equal(error.status, status);
    t.equal(error.retryable, retryable);
  }
});

await t.test('what is refused for good is never worth another try as it stands', async (t) => {
  for (const code of codes) {
    const { status, retryable } = errorCodes[code];
    if ([400, 405, 413, 415, 416].includes(status)) t.notOk(retryable, code);
    if ([503, 507].includes(status)) t.ok(retryable, code);
  }
});

await t.test('an error travels as its code, its text and its fields', async (t) => {
  const error = new ChukchaError('message_too_large', 'Line 3 is too large.', {
    fields: { line: 3 },
    cause: new Error('not for the wire'),
  });
  t.same(JSON.parse(JSON.stringify(error.toBody())), {
    error: { code: 'message_too_large', message: 'Line 3 is too large.', line: 3 },
  });
  t.equal(error.name, 'ChukchaError');
  t.equal((error.cause as Error).message, 'not for the wire');
  t.notOk(Object.hasOwn(new ChukchaError('internal', 'x'), 'cause'));
});

await t.test('the code of an error is known whoever made it', async (t) => {
  t.equal(errorCode(new ChukchaError('draining', 'x')), 'draining');
  t.equal(errorCode({ code: 'disk_full' }), 'disk_full');
  for (const other of [
    undefined,
    null,
    'draining',
    new Error('x'),
    { code: 'ENOENT' },
    new Agent(),
  ]) {
    t.equal(errorCode(other), undefined);
  }
  for (const word of ['toString', '__proto__', 'constructor', '', 7]) t.notOk(isErrorCode(word));
});

await t.test('whatever was thrown has a text', async (t) => {
  t.equal(errorMessage(new Error('broken')), 'broken');
  t.equal(errorMessage('broken'), 'broken');
  t.equal(errorMessage(undefined), 'undefined');
});
