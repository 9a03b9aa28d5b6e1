import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../../common/logger.js';
import { ChukchaError, errorMessage } from '../../protocol/chukcha-error.js';
import type { TaskReport } from './run-set.js';

/** How long a client may take for a request. */
const requestMsMax = 5_000;

/** Of every task; those of plugins come behind. */
const commonFigures = [
  [
    'up',
    'gauge',
    'Whether the task runs.',
    ({ state }: TaskReport) => (state === 'running' ? 1 : 0),
  ],
  [
    'restarts_total',
    'counter',
    'How often the task was started again.',
    (task: TaskReport) => task.restarts,
  ],
  [
    'bytes_total',
    'counter',
    'Bytes accepted by the bus, or delivered, since the last start of the task.',
    (task: TaskReport) => task.bytes,
  ],
  [
    'dead_letters_total',
    'counter',
    'Dead letters since the last start of the task.',
    (task: TaskReport) => task.deadLetters,
  ],
] as const;

/** A small server that tells how the tasks of a process stand. */
export interface RunMonitor {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens. Throws `invalid_option` for an address that cannot be listened on. */
export async function startMonitor(
  address: string,
  reports: () => readonly TaskReport[],
  log: Logger,
): Promise<RunMonitor> {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:\s]+):([0-9]{1,5})$/.exec(address);
  const [, host = '', port = ''] = match ?? [];
  if (match === null || Number(port) > 65_535) {
    throw new ChukchaError(
      'invalid_option',
      `--monitor ${JSON.stringify(address)} is not valid: expected HOST:PORT, for example 127.0.0.1:9600.`,
    );
  }
  const server = createServer({ requestTimeout: requestMsMax, headersTimeout: requestMsMax });
  server.on('request', (request, response) => {
    const path = request.url?.split('?')[0];
    const answer = answerTo(path, reports());
    response.writeHead(answer === undefined ? 404 : 200, {
      'content-type': answer?.type ?? 'text/plain',
    });
    response.end(answer?.body ?? 'There are /livez, /status and /metrics here.\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new ChukchaError(
          'invalid_option',
          `--monitor ${address} cannot be listened on (${errorMessage(error)}): choose a free address of this machine.`,
        ),
      ),
    );
    server.listen(Number(port), host.replace(/^\[(.*)\]$/, '$1'), resolve);
  });
  const bound = server.address() as AddressInfo;
  const url = `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
  log.info('Telling how everything stands.', { url });
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerTo(
  path: string | undefined,
  tasks: readonly TaskReport[],
): { readonly type: string; readonly body: string } | undefined {
  switch (path) {
    case '/livez':
      return { type: 'application/json', body: '{"live":true}\n' };
    case '/status':
      return { type: 'application/json', body: `${JSON.stringify({ tasks })}\n` };
    case '/metrics':
      return { type: 'text/plain; version=0.0.4; charset=utf-8', body: formatMetrics(tasks) };
    default:
      return undefined;
  }
}

function formatMetrics(tasks: readonly TaskReport[]): string {
  const families = new Map<string, { kind: string; help: string; lines: string[] }>();
  const add = (name: string, kind: string, help: string, task: TaskReport, value: number): void => {
    const family = families.get(name) ?? { kind, help, lines: [] };
    families.set(name, family);
    family.lines.push(`${name}{kind="${task.kind}",name="${task.name}"} ${value}`);
  };
  for (const task of tasks) {
    for (const [name, kind, help, read] of commonFigures) {
      add(`chukcha_task_${name}`, kind, help, task, read(task));
    }
    for (const { name, kind, help, value } of task.figures) {
      add(`chukcha_${name}`, kind, help, task, value);
    }
  }
  return [...families]
    .map(([name, { kind, help, lines }]) =>
      [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines, ''].join('\n'),
    )
    .join('');
}
