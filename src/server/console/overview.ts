import { element, part, setAttribute, setText } from './element.js';
import { formatBytes, formatNumberOf, formatRate, formatSpan } from './format-figures.js';
import { LineChart, type Point } from './line-chart.js';
import type { NodeReport } from './node-report.js';
import type { Link } from './node-watch.js';
import type { Sample, TrafficHistory } from './traffic-history.js';

/** The head of the page: which node this is, how it stands, its figures and its charts. */
export class Overview {
  readonly #name = part('node-name', HTMLElement);
  readonly #place = part('node-place', HTMLElement);
  readonly #state = part('node-state', HTMLElement);
  readonly #figures = new Map<string, readonly [value: HTMLElement, note: HTMLElement]>();
  readonly #figureBox = part('figures', HTMLElement);
  readonly #writes = new LineChart({
    title: 'Writes',
    format: formatRate,
    lines: [
      { name: 'written here', kind: 'written' },
      { name: 'copied', kind: 'copied' },
    ],
  });
  readonly #reads = new LineChart({
    title: 'Reads',
    format: formatRate,
    lines: [{ name: 'sent to readers', kind: 'read' }],
  });
  readonly #backlog = new LineChart({
    title: 'Backlog',
    format: formatBytes,
    lines: [{ name: 'all groups', kind: 'backlog' }],
  });

  constructor() {
    part('charts', HTMLElement).append(this.#writes.box, this.#reads.box, this.#backlog.box);
  }

  update(report: NodeReport, history: TrafficHistory): void {
    const { node, cluster, clusterStatus, version, uptimeSeconds } = report;
    setText(this.#name, node);
    const of = clusterStatus === null ? 'stands alone' : `cluster ${clusterStatus.name}`;
    setText(this.#place, `${of} · chukcha ${version} · up ${formatSpan(uptimeSeconds)}`);
    setAttribute(this.#place, 'title', `Messages belong to ${cluster}`);
    document.title = `${node} · chukcha`;
    this.#updateFigures(report);
    this.#updateCharts(history);
  }

  /** The dot and the word at the top. */
  showLink(link: Link, report: NodeReport | undefined): void {
    const [text, tone] = describe(link, report);
    setText(this.#state, text);
    setAttribute(this.#state, 'data-tone', tone);
  }

  #updateFigures({ disk, clusterStatus, categories, bytesInFlight }: NodeReport): void {
    const heldBytes = categories.reduce((sum, { bytes }) => sum + bytes, 0);
    const chunkCount = categories.reduce((sum, { chunks }) => sum + chunks, 0);
    this.#figure('Held', formatBytes(heldBytes), `in ${formatNumberOf(chunkCount, 'chunk')}`);
    this.#figure(
      'Disk free',
      formatBytes(disk.freeBytes),
      `of ${formatBytes(disk.totalBytes)}, reserve ${formatBytes(disk.reserveBytes)}`,
    );
    this.#figure('In memory', formatBytes(bytesInFlight), 'of bodies under way');
    if (clusterStatus === null) return;
    this.#figure('Only here', formatBytes(clusterStatus.bytesHereOnly), 'no other node has it yet');
  }

  #figure(title: string, value: string, note: string): void {
    const shown = this.#figures.get(title) ?? this.#makeFigure(title);
    setText(shown[0], value);
    setText(shown[1], note);
  }

  #makeFigure(title: string): readonly [HTMLElement, HTMLElement] {
    const value = element('dd', { class: 'value' });
    const note = element('dd', { class: 'note' });
    this.#figureBox.append(element('div', {}, element('dt', {}, title), value, note));
    const made = [value, note] as const;
    this.#figures.set(title, made);
    return made;
  }

  #updateCharts({ samples }: TrafficHistory): void {
    const nowMs = samples.at(-1)?.atMs ?? 0;
    const points = (field: keyof Sample): Point[] => samples.map((s) => [s.atMs, s[field]]);
    this.#writes.update([points('written'), points('copied')], nowMs);
    this.#reads.update([points('read')], nowMs);
    this.#backlog.update([points('backlogBytes')], nowMs);
  }
}

function describe(link: Link, report: NodeReport | undefined): [text: string, tone: string] {
  switch (link.kind) {
    case 'connecting':
      return ['connecting', 'quiet'];
    case 'lost':
      return ['not reached', 'bad'];
    case 'refused':
      return ['signed out', 'warn'];
    default:
      if (link.isLate) return ['late', 'warn'];
      return [report?.state ?? 'connected', report?.state === 'running' ? 'good' : 'warn'];
  }
}
