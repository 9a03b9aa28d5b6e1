import { element, part } from './element.js';
import { formatBytes, formatNumberOf, formatTime } from './format-figures.js';
import { isAway, isEtcdSilent, type NodeReport, type PipelineReport } from './node-report.js';
import type { Link } from './node-watch.js';
import { standsStill } from './pipeline-columns.js';

export interface Notice {
  readonly tone: 'warn' | 'bad';
  readonly text: string;
}

/** Free space below this many times the reserve is worth a word. */
const reserveWarnFactor = 1.25;

/** So many pipelines that stand still are named; the rest is counted. */
const pipelineCountMax = 5;

/** What somebody has to know now, the most urgent first. */
export function findNotices(link: Link, report: NodeReport | undefined): Notice[] {
  // What the node said before it was lost may not be true any more.
  const isKnown = report !== undefined && link.kind === 'connected';
  return [...linkNotices(link, report), ...(isKnown ? reportNotices(report) : [])];
}

function linkNotices(link: Link, report: NodeReport | undefined): Notice[] {
  if (link.kind === 'lost') {
    const kept = report === undefined ? '' : ' What is shown below is from before.';
    const text = `${link.sentence} So since ${formatTime(link.sinceMs)}; asking again every second.${kept}`;
    return [{ tone: 'bad', text }];
  }
  if (link.kind === 'connected' && link.isLate) {
    const text = `${report?.node ?? 'The node'} takes long to answer: it may be overloaded, or the network slow. What is shown is not new.`;
    return [{ tone: 'warn', text }];
  }
  return [];
}

function reportNotices(report: NodeReport): Notice[] {
  const { node, state, disk, clusterStatus, categories } = report;
  const notices: Notice[] = [];
  if (disk.refusal !== null)
    notices.push({ tone: 'bad', text: `Writes are refused. ${disk.refusal}` });
  else if (disk.reserveBytes > 0 && disk.freeBytes < disk.reserveBytes * reserveWarnFactor) {
    const text = `The disk has ${formatBytes(disk.freeBytes)} free; below ${formatBytes(disk.reserveBytes)} writes are refused.`;
    notices.push({ tone: 'warn', text });
  }
  if (state !== 'running') {
    notices.push({ tone: 'warn', text: `${node} is ${state}: it takes no writes.` });
  }
  if (clusterStatus?.coordination.available === false) {
    const { problem } = clusterStatus.coordination;
    const why = problem === null ? '' : ` (${problem.replace(/\.$/, '')})`;
    const text = `etcd is away${why}. Writes, reads and acknowledgements go on; groups and nodes cannot be changed.`;
    notices.push({ tone: 'bad', text });
  } else if (isEtcdSilent(report)) {
    const text =
      'etcd does not answer for more than a second now. Writes, reads and acknowledgements go on.';
    notices.push({ tone: 'warn', text });
  }
  for (const member of clusterStatus?.members ?? []) {
    if (!isAway(member)) continue;
    const why = member.problem === null ? '' : `: ${member.problem}`;
    notices.push({ tone: 'bad', text: `${member.name} is away${why}`.replace(/\.?$/, '.') });
  }
  for (const { name, hiddenChunks } of categories) {
    if (hiddenChunks.length === 0) continue;
    const text = `${formatNumberOf(hiddenChunks.length, 'damaged chunk')} of ${name} cannot be read until the intact messages have room on the disk.`;
    notices.push({ tone: 'bad', text });
  }
  return [...notices, ...pipelineNotices(report.pipelines ?? [])];
}

function pipelineNotices(pipelines: readonly PipelineReport[]): Notice[] {
  const still = pipelines.filter(standsStill);
  const notices = still
    .slice(0, pipelineCountMax)
    .map(({ kind, name, state, lastError }): Notice => {
      const stands = state === 'waiting' ? 'has ended and is started again' : 'stands still';
      const why = lastError === null ? '' : `: ${lastError}`;
      return { tone: 'bad', text: `The ${kind} ${name} ${stands}${why}`.replace(/\.?$/, '.') };
    });
  const restCount = still.length - notices.length;
  if (restCount === 0) return notices;
  const text = `${formatNumberOf(restCount, 'more pipeline')} stand still or wait.`;
  return [...notices, { tone: 'bad', text }];
}

/** Shows notices in a region that a screen reader reads out when it changes; what stays is left alone. */
export class NoticeList {
  readonly #list = part('notices', HTMLElement);
  #shown = new Map<string, HTMLElement>();

  update(notices: readonly Notice[]): void {
    const wanted = new Map(
      notices.map(({ tone, text }) => {
        const known = this.#shown.get(text) ?? element('li', { 'data-tone': tone }, text);
        return [text, known] as const;
      }),
    );
    for (const [text, line] of this.#shown) if (!wanted.has(text)) line.remove();
    [...wanted.values()].forEach((line, place) => {
      if (this.#list.children[place] !== line) {
        this.#list.insertBefore(line, this.#list.children[place] ?? null);
      }
    });
    this.#shown = wanted;
  }
}
