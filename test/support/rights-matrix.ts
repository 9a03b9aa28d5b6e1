import type { Right } from '../../src/protocol/rights.js';
import { rights } from '../../src/protocol/rights.js';
import { digestOf, type TokenEntry } from '../../src/server/access/access.js';
import { routes } from '../../src/server/app.js';
import { pipelineReport } from './pipeline-report.js';

/** Who may make a call: with which right, and where it has to hold. */
interface Decision {
  readonly right: Right | 'open';
  readonly where: 'category' | 'node' | 'any';
  /** The parameters with which the call means something, beside the category. */
  readonly query?: string;
  readonly body?: string;
}

const inCategory = (right: Right, query = ''): Decision => ({ right, where: 'category', query });

const atNode = (right: Right | 'open', query = ''): Decision => ({ right, where: 'node', query });

const chunk = 'chunk=node1-chunk000000000';

const report = JSON.stringify(pipelineReport());

/**
 * What was decided for every method of every route, apart from the routes themselves: a test compares them, so that a
 * new route, or a right that was changed by mistake, is seen.
 */
const decisions: Readonly<Record<string, Decision | readonly Decision[]>> = {
  'POST /write': { ...inCategory('write'), body: 'a\n' },
  'GET /read': inCategory('read', `${chunk}&off=0&max_size=9`),
  'GET /stream': inCategory('read', 'from=earliest&wait_ms=0'),
  'GET /ack': inCategory('ack', `${chunk}&size=9`),
  'POST /ack': inCategory('ack', `${chunk}&size=9`),
  'GET /listChunks': inCategory('read'),
  'GET /listCategories': { right: 'read', where: 'any' },
  'GET /groups': inCategory('read'),
  'PUT /groups/<group>': inCategory('ack'),
  'DELETE /groups/<group>': inCategory('admin'),
  'GET /leases/<group>': inCategory('ack'),
  'HEAD /leases/<group>': inCategory('ack'),
  'PUT /leases/<group>': inCategory('ack', 'holder=h&ttl_ms=9'),
  'DELETE /leases/<group>': inCategory('ack', 'holder=h'),
  // As the work that it tells of; what is neither is refused for its form to whoever may tell of a sink.
  'PUT /pipelines/<name>': [
    { ...inCategory('write', 'kind=ship'), body: report },
    { ...inCategory('ack', 'kind=sink'), body: report },
    inCategory('ack'),
  ],
  'POST /seal': inCategory('ack'),
  'GET /status': atNode('observe'),
  'POST /nodes/<node>': atNode('admin', 'change=drain'),
  'GET /livez': atNode('open'),
  'GET /readyz': atNode('open'),
  'GET /metrics': atNode('observe'),
  // What it shows it asks for, with the token of who looks at it.
  'GET /console': atNode('open'),
  'HEAD /console': atNode('open'),
  'GET /console/<file>': atNode('open'),
  'HEAD /console/<file>': atNode('open'),
  'GET /produce': inCategory('write'),
  // Acknowledgements come over the same stream: it needs `ack` besides.
  'GET /consume': inCategory('read'),
};

const segments: Readonly<Record<string, string>> = {
  group: 'g',
  node: 'node1',
  file: 'console.css',
};

/** One call of the matrix, in one of its forms. */
export interface MatrixCall extends Decision {
  readonly name: string;
  readonly method: string;
  readonly path: string;
}

/** The routes that nobody has decided about, and the decisions about routes that are not there. */
export function undecided(): readonly string[] {
  const there = routes.flatMap(({ path, methods }) => methods.map((method) => `${method} ${path}`));
  const decided = Object.keys(decisions);
  return [
    ...there.filter((name) => decisions[name] === undefined),
    ...decided.filter((name) => !there.includes(name)),
  ];
}

/** Every method of every route, for the category `logs`: plainly, as the lane takes it, and for Node's parser alone. */
export function matrixCalls(): readonly MatrixCall[] {
  return routes.flatMap(({ path: pattern, methods, queryNames }) =>
    methods.flatMap((method) => {
      const name = `${method} ${pattern}`;
      const decided = [decisions[name] ?? atNode('admin')].flat();
      const path = pattern.replace(/<(\w+)>$/, (_, word: string) => segments[word] ?? 'x');
      const forms = queryNames.includes('category') ? ['category=logs', 'category=lo%67s'] : [''];
      return decided.flatMap((decision) =>
        forms.map((form) => {
          const query = [form, decision.query ?? ''].filter((words) => words !== '').join('&');
          return { ...decision, name, method, path: query === '' ? path : `${path}?${query}` };
        }),
      );
    }),
  );
}

/** The paths of all routes with every method that none of them has. */
export function otherMethodCalls(): readonly { readonly method: string; readonly path: string }[] {
  const all = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'];
  const patterns = [...new Set(routes.map(({ path }) => path))];
  return patterns.flatMap((pattern) => {
    const taken = routes.filter(({ path }) => path === pattern).flatMap(({ methods }) => methods);
    const path = pattern.replace(/<(\w+)>$/, (_, word: string) => segments[word] ?? 'x');
    return all.filter((method) => !taken.includes(method)).map((method) => ({ method, path }));
  });
}

export const secretOf = (name: string): string => `chukcha_${name}_0123456789`;

export function tokensOf(
  entries: Readonly<Record<string, Partial<Record<Right, string[]>>>>,
): readonly TokenEntry[] {
  return Object.entries(entries).map(([name, patterns]) => ({
    name,
    digest: digestOf(secretOf(name)),
    patterns,
  }));
}

/** A token for each right alone, for the category and for all; for other categories; for nothing. */
export const everyToken: readonly TokenEntry[] = tokensOf({
  ...Object.fromEntries(rights.map((right) => [right, { [right]: ['logs'] }])),
  ...Object.fromEntries(rights.map((right) => [`${right}-all`, { [right]: ['*'] }])),
  'write-prefix': { write: ['lo*'] },
  'other-category': { write: ['logs2'], read: ['log'], ack: ['Logs'], admin: ['log'] },
  'read-and-ack': { read: ['logs'], ack: ['logs'] },
  nothing: {},
});

/** The names of the tokens to try; one is nobody's, and one was taken away. */
export const triedTokens: readonly (string | undefined)[] = [
  undefined,
  'unknown',
  'withdrawn',
  ...everyToken.map(({ name }) => name),
];

/** How a call has to be refused to whom; `undefined` where it must not be. */
export function expectedRefusal(name: string | undefined, call: MatrixCall): 401 | 403 | undefined {
  if (call.right === 'open') return undefined;
  const token = everyToken.find((entry) => entry.name === name);
  if (token === undefined) return 401;
  const needed = call.name === 'GET /consume' ? (['read', 'ack'] as const) : [call.right];
  return needed.every((right) => holds(token, right, call.where)) ? undefined : 403;
}

function holds({ patterns }: TokenEntry, right: Right, where: Decision['where']): boolean {
  const given = [...(patterns[right] ?? []), ...(patterns.admin ?? [])];
  if (where === 'any') return given.length > 0;
  if (where === 'node') return given.includes('*');
  return given.some((pattern) => ['*', 'logs', 'lo*'].includes(pattern));
}
