import { ChukchaError } from '../protocol/chukcha-error.js';
import { Query } from './query.js';
import type { Route } from './route.js';

/** How much of an address that leads nowhere an error repeats. */
const quotedLengthMax = 80;

/** What a request asks for, and with which parameters. */
export interface RoutedRequest {
  readonly route: Route;
  readonly query: Query;
}

interface Target {
  /** What a user may ask for there, such as `/groups/<group>`. */
  readonly pattern: string;
  /** The name of the parameter that the last segment of the path is; `undefined` for a fixed path. */
  readonly segmentName: string | undefined;
  readonly routes: Route[];
}

/**
 * Finds the route of a request. Several routes may share a path and differ in their methods. A path like
 * `/groups/<group>` stands for every path with one more segment, which becomes the parameter `group`.
 */
export class RouteTable {
  /** By path; one with a parameter lies under what is in front of that, with the slash. */
  readonly #targets = new Map<string, Target>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const [, prefix = '', segmentName] = /^([^<]*)(?:<(\w+)>)?$/.exec(route.path) ?? [];
      const target = this.#targets.get(prefix) ?? { pattern: route.path, segmentName, routes: [] };
      this.#targets.set(prefix, target);
      target.routes.push(route);
    }
  }

  /**
   * @param url the target of the request, as it was sent
   *
   * Throws `not_found`, `method_not_allowed` with the field `allow`, or `invalid_request`.
   */
  find(method: string, url: string): RoutedRequest {
    const path = pathOf(url);
    const { target, segment } = this.#target(path);
    const route = target.routes.find(({ methods }) => methods.includes(method));
    if (route === undefined) throw methodNotAllowed(method, target);
    const inPath =
      target.segmentName === undefined ? {} : { [target.segmentName]: decodeSegment(segment) };
    return { route, query: new Query(queryOf(url), route.queryNames, inPath) };
  }

  #target(path: string): { target: Target; segment: string } {
    const fixed = this.#targets.get(path);
    if (fixed !== undefined && fixed.segmentName === undefined) {
      return { target: fixed, segment: '' };
    }
    const segmentStart = path.lastIndexOf('/') + 1;
    const segment = path.slice(segmentStart);
    const target = this.#targets.get(path.slice(0, segmentStart));
    if (target?.segmentName === undefined || segment === '') throw this.#notFound(path);
    return { target, segment };
  }

  #notFound(path: string): ChukchaError {
    const patterns = [...this.#targets.values()].map(({ pattern }) => pattern);
    return new ChukchaError(
      'not_found',
      `There is nothing at ${JSON.stringify(path.slice(0, quotedLengthMax))}: expected one of ${patterns.join(', ')}.`,
    );
  }
}

/**
 * The path of a request's target, still encoded. A proxy may be asked for a whole address and hand that on. A
 * target need not be an address at all, which is why no parser of such is used: it would throw.
 */
export function pathOf(url: string): string {
  const [beforeQuery = ''] = url.split('?', 1);
  return beforeQuery.replace(/^http:\/\/[^/]*/i, '');
}

function queryOf(url: string): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}

function methodNotAllowed(method: string, { pattern, routes }: Target): ChukchaError {
  const methods = routes.flatMap((route) => route.methods);
  return new ChukchaError(
    'method_not_allowed',
    `${method} is not possible at ${pattern}: expected ${methods.join(' or ')}.`,
    { fields: { allow: methods.join(', ') } },
  );
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new ChukchaError(
      'invalid_request',
      `The path ends with ${JSON.stringify(segment.slice(0, quotedLengthMax))}, which is not percent-encoded UTF-8: write a % as %25.`,
      { cause },
    );
  }
}
