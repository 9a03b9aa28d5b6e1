import type { IncomingMessage } from 'node:http';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import type { Query } from '../query.js';
import type { Route } from '../route.js';
import { type Access, type AccessScope, openPass, type Pass } from './access.js';

/** What of a call says who may make it. */
export type GuardedRoute = Pick<Route, 'right' | 'scope' | 'queryNames'>;

/** Decides whether a request may have what it asks for. Throws `unauthorized` or `forbidden`. */
export function authorize(
  access: Access | undefined,
  route: GuardedRoute,
  query: Query,
  request: IncomingMessage,
): Pass {
  if (access === undefined || route.right === 'open') return openPass;
  refuseOtherSites(request);
  // A route that says nothing is for the operator alone.
  const { right = 'admin' } = route;
  const needed = typeof right === 'function' ? right(query) : right;
  return access.check(request.headers.authorization, needed, scopeOf(route, query));
}

function scopeOf(route: GuardedRoute, query: Query): AccessScope {
  if (route.scope !== undefined) return route.scope;
  if (!route.queryNames.includes('category')) return 'node';
  const category = query.optional('category');
  // Without a category the route itself says what is missing.
  return category === undefined ? 'any' : { category };
}

/** A browser adds the password that it was once given also to what the pages of other sites have it ask for. */
function refuseOtherSites({ headers }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  if (!/^basic /i.test(headers.authorization ?? '')) return;
  if (site === undefined || site === 'same-origin' || site === 'none') return;
  throw new ChukchaError(
    'forbidden',
    'A page of another site has asked for this: open the address of the node itself.',
  );
}
