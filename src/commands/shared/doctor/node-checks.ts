import { formatBytes } from '../../../common/quantity.js';
import type { NodeStatus } from '../../../protocol/http-api.js';
import type { PipelineStatus } from '../../../protocol/pipeline-report.js';
import { mergePipelines } from '../merge-pipelines.js';
import type { Finding } from './finding.js';

/** A node that was asked, and its answer or why there is none. */
export interface AskedNode {
  readonly url: string;
  readonly status?: NodeStatus;
  readonly problem?: string;
  /** The clock of this machine when the answer came, in milliseconds since 1970. */
  readonly askedMs: number;
}

/** The node tells whole seconds, and the answer takes a moment; what is more is a clock that is wrong. */
const clockDifferenceMsMax = 5_000;

/** What the answers of nodes mean, each by itself and together. */
export function checkNodes(nodes: readonly AskedNode[]): Finding[] {
  const statuses = nodes.flatMap(({ status }) => (status === undefined ? [] : [status]));
  return [
    ...nodes.flatMap(checkNode),
    ...checkVersions(statuses),
    ...statuses.flatMap(checkCategories),
    ...mergePipelines(statuses).flatMap(checkPipeline),
  ];
}

function checkNode({ url, status, problem, askedMs }: AskedNode): Finding[] {
  if (status === undefined) {
    const fix = 'chukcha serve, or another address with --server';
    return [{ about: 'node', result: 'failed', detail: problem ?? `No answer from ${url}.`, fix }];
  }
  const about = `node ${status.node}`;
  const detail = `It answers at ${url}, version ${status.version}, ${status.state}.`;
  const findings: Finding[] = [{ about, result: 'ok', detail }];
  if (status.state !== 'running') {
    const fix = 'wait for it to end, or take it back with `chukcha node drain --undo`';
    findings[0] = { about, result: 'warning', detail: `${detail} It takes no writes.`, fix };
  }
  if (status.disk.refusal !== null) {
    const { refusal } = status.disk;
    const fix = 'make room on its disk, or remove groups that hold much: `chukcha status`';
    findings.push({ about, result: 'failed', detail: `It refuses writes: ${refusal}`, fix });
  }
  return [...findings, ...checkClock(about, status, askedMs), ...checkMembership(about, status)];
}

function checkClock(about: string, status: NodeStatus, askedMs: number): Finding[] {
  const nodeMs = Date.parse(status.startedAt) + status.uptimeSeconds * 1_000;
  const differenceMs = nodeMs - askedMs;
  if (Math.abs(differenceMs) <= clockDifferenceMsMax) return [];
  const seconds = Math.round(Math.abs(differenceMs) / 1_000);
  const direction = differenceMs > 0 ? 'before' : 'behind';
  const detail = `Its clock is ${seconds} s ${direction} that of this machine: ages and times of chunks differ.`;
  return [{ about, result: 'warning', detail, fix: 'run an NTP client on both machines' }];
}

function checkMembership(about: string, { clusterStatus }: NodeStatus): Finding[] {
  if (clusterStatus === null) return [];
  const { coordination, members } = clusterStatus;
  const findings: Finding[] = [];
  if (!coordination.available) {
    const detail = `It does not reach etcd: ${coordination.problem}. Messages go on; changes of groups and nodes do not.`;
    findings.push({ about, result: 'failed', detail, fix: 'start etcd, or mend the way to it' });
  }
  for (const { name, self, state, receiving, sending, problem, url } of members) {
    if (self || state === 'draining') continue;
    if (state === 'lost') {
      const detail = `Node ${name} counts as lost.`;
      const fix = `start it again, or \`chukcha node remove ${name}\` when it is gone for good`;
      findings.push({ about, result: 'failed', detail, fix });
    } else if (!receiving || !sending) {
      const detail = `It is not connected with node ${name} at ${url}${problem === null ? '.' : `: ${problem}`}`;
      findings.push({ about, result: 'failed', detail, fix: `start ${name}, or mend the network` });
    }
  }
  return findings;
}

function checkVersions(statuses: readonly NodeStatus[]): Finding[] {
  const versions = new Set(statuses.map(({ version }) => version));
  if (versions.size < 2) return [];
  const list = statuses.map(({ node, version }) => `${node} ${version}`).join(', ');
  return [
    {
      about: 'versions',
      result: 'warning',
      detail: `The nodes have different versions: ${list}.`,
      fix: 'finish the upgrade: docs/guides/upgrade.md',
    },
  ];
}

function checkCategories({ node, categories }: NodeStatus): Finding[] {
  const about = `node ${node}`;
  return categories.flatMap(({ name, hiddenChunks, expiredBytes }): Finding[] => [
    ...(hiddenChunks.length === 0
      ? []
      : [
          {
            about,
            result: 'failed' as const,
            detail: `${hiddenChunks.length} damaged chunks of ${name} wait to be mended; no reader sees them.`,
            fix: 'make room on its disk, then start it again',
          },
        ]),
    ...(expiredBytes === 0
      ? []
      : [
          {
            about,
            result: 'warning' as const,
            detail: `${formatBytes(expiredBytes)} of ${name} were given up since its start, because they were too old or too much.`,
            fix: 'make its readers faster, or keep more: --retain-for, --retain-size',
          },
        ]),
  ]);
}

/** A pipeline that does not move, and why. */
function checkPipeline({ kind, name, host, state, ...pipeline }: PipelineStatus): Finding[] {
  const about = `${kind} ${name}`;
  const why = pipeline.lastError === null ? '' : `: ${pipeline.lastError}`;
  if (state === 'stalled') {
    const detail = `It stands still on ${host}${why}`;
    const fix = 'mend what the error says; it goes on by itself then';
    return [{ about, result: 'failed', detail, fix }];
  }
  if (state === 'waiting') {
    const detail = `It has ended on ${host} and is started again after a while${why}`;
    const fix = 'mend what the error says; its log has the rest';
    return [{ about, result: 'failed', detail, fix }];
  }
  if (state !== 'retrying') return [];
  const detail = `Something fails on ${host} and is tried again${why}`;
  const fix = 'wait, or look whether its node and its target can be reached';
  return [{ about, result: 'warning', detail, fix }];
}

/** What a group holds is worth a word from here on. */
export const heldBytesDefault = 1024 ** 3;

/** Groups that hold much, and have acknowledged nothing between two looks at the same node. */
export function checkGroups(before: NodeStatus, after: NodeStatus, heldBytes: number): Finding[] {
  const earlier = new Map(
    before.categories.flatMap(({ name, groups }) =>
      groups.map((group) => [`${name}/${group.group}`, group.bytes] as const),
    ),
  );
  return after.categories.flatMap(({ name, groups }) =>
    groups.flatMap(({ group, bytes, chunks }): Finding[] => {
      const then = earlier.get(`${name}/${group}`);
      if (bytes < heldBytes || then === undefined || bytes < then) return [];
      return [
        {
          about: `group ${group}`,
          result: 'warning',
          detail: `It holds ${formatBytes(bytes)} in ${chunks} chunks of ${name} on ${after.node}, and acknowledged nothing while this was looked at.`,
          fix: `start its reader; or \`chukcha groups rm ${group} --category ${name}\` when nobody needs it`,
        },
      ];
    }),
  );
}
