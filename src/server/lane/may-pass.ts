import type { Access } from '../access/access.js';
import type { RequestHead } from './request-head.js';

/** Tells whether the token of a request, allows what the head asks for. */
export function mayPass(access: Access | undefined, head: RequestHead): boolean {
  // A peer is looked at where it is taken.
  if (access === undefined || head.kind === 'replica') return true;
  const category = head.call.categoryName;
  const writes = head.kind === 'write' || isProduce(head);
  try {
    const pass = access.check(head.authorization, writes ? 'write' : 'read', { category });
    return !isConsume(head) || pass.allows('ack', { category });
  } catch {
    return false;
  }
}

/** Acknowledgements come over the same stream as the messages go. */
function isConsume(head: RequestHead): boolean {
  return head.kind === 'stream' && head.call.kind === 'consume';
}

function isProduce(head: RequestHead): boolean {
  return head.kind === 'stream' && head.call.kind === 'produce';
}
