import type { DoorRequest } from './door-request.js';
import { describeItems } from './item-ranges.js';
import type { LineBatch } from './line-batches.js';
import { RequestError } from './request-error.js';

/**
 * Gives the batches of a request whose client can only be told one thing about all of it. Throws unless all
 * were accepted; when some were, the error `partly_accepted` says which items, and that they come twice
 * when the client sends all again.
 */
export async function writeItems(
  request: DoorRequest,
  batches: readonly LineBatch[],
): Promise<void> {
  const verdicts = await request.writeAll(batches);
  const failed = verdicts.find((verdict) => verdict !== 'accepted');
  if (failed === undefined) return;
  const accepted = itemsWhere(batches, (index) => verdicts[index] === 'accepted');
  if (accepted.length === 0 && verdicts.every((verdict) => verdict === failed)) {
    throw request.refusal(failed);
  }
  const unknown = itemsWhere(batches, (index) => verdicts[index] === 'unknown');
  const refused = itemsWhere(
    batches,
    (index) => verdicts[index] !== 'accepted' && verdicts[index] !== 'unknown',
  );
  const parts = [
    describe('were accepted', accepted),
    describe('were not accepted', refused),
    describe('may still be stored', unknown),
  ].filter((part) => part !== '');
  throw new RequestError(
    'partly_accepted',
    `Of the items, counted from 0, ${parts.join(', ')}: send those again that were not accepted, or all, in which case those that were come twice unless the request has an Idempotency-Key.`,
  );
}

function itemsWhere(batches: readonly LineBatch[], isMeant: (index: number) => boolean): number[] {
  return batches
    .flatMap((batch, index) => (isMeant(index) ? batch.items : []))
    .sort((left, right) => left - right);
}

function describe(what: string, items: readonly number[]): string {
  return items.length === 0 ? '' : `${describeItems(items)} ${what}`;
}
