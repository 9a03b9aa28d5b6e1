import { drawing, element, setAttribute, setText } from './element.js';
import { historyMs } from './traffic-history.js';

/** A value at a time; NaN breaks the line. */
export type Point = readonly [atMs: number, value: number];

interface ChartLine {
  readonly name: string;
  /** Names its colour in the style sheet. */
  readonly kind: 'written' | 'copied' | 'read' | 'backlog';
}

export interface LineChartOptions {
  readonly title: string;
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
}

/** The size of the drawing in its own units; the page stretches it. */
const width = 300;
const height = 72;

/** A screen reader is told anew after this time, and not with every report. */
const describeIntervalMs = 10_000;

/** A small chart over the last minutes: a line for each row of values, the scale at the left, and what it is now. */
export class LineChart {
  readonly box: HTMLElement;
  readonly #options: LineChartOptions;
  readonly #drawing = drawing('svg', {
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: 'none',
    role: 'img',
  });
  readonly #paths: readonly (readonly [line: SVGPathElement, area: SVGPathElement])[];
  readonly #values: readonly HTMLElement[];
  readonly #from = element('span');
  readonly #top = element('span', { class: 'scale-top' });
  #describedMs = Number.NEGATIVE_INFINITY;

  constructor(options: LineChartOptions) {
    this.#options = options;
    this.#paths = options.lines.map(({ kind }) => [
      drawing('path', { class: `line ${kind}` }),
      drawing('path', { class: `area ${kind}` }),
    ]);
    this.#values = options.lines.map(() => element('strong', {}, '–'));
    const grid = [0.5, height / 2, height - 0.5].map((y) =>
      drawing('path', { class: 'grid', d: `M0 ${y}H${width}` }),
    );
    this.#drawing.append(...grid, ...this.#paths.flatMap(([line, area]) => [area, line]));
    const keys = options.lines.map(({ name, kind }, place) =>
      element('span', { class: `key ${kind}` }, `${name} `, this.#values[place] ?? ''),
    );
    this.box = element(
      'figure',
      { class: 'chart' },
      element('figcaption', {}, element('span', { class: 'chart-title' }, options.title), ...keys),
      element('div', { class: 'plot' }, this.#drawing, this.#top),
      element(
        'p',
        { class: 'scale', 'aria-hidden': 'true' },
        this.#from,
        element('span', {}, 'now'),
      ),
    );
  }

  /** @param rows the points of each line, oldest first */
  update(rows: readonly (readonly Point[])[], nowMs: number): void {
    const { format } = this.#options;
    const highest = Math.max(
      0,
      ...rows.flat().map(([, value]) => (Number.isNaN(value) ? 0 : value)),
    );
    const top = roundUp(highest);
    const spanMs = spanOf(rows, nowMs);
    setText(this.#from, `${spanMs / 60_000} min ago`);
    setText(this.#top, highest === 0 ? '' : format(top));
    rows.forEach((points, place) => {
      const [line, area] = this.#paths[place] ?? [];
      const runs = runsOf(points, { nowMs, spanMs, top });
      line?.setAttribute('d', runs.map(drawLine).join(''));
      area?.setAttribute('d', runs.map(drawArea).join(''));
      const value = points.at(-1)?.[1] ?? Number.NaN;
      const label = this.#values[place];
      if (label) setText(label, Number.isNaN(value) ? '–' : format(value));
    });
    if (nowMs - this.#describedMs < describeIntervalMs) return;
    this.#describedMs = nowMs;
    this.#describe(rows, highest);
  }

  #describe(rows: readonly (readonly Point[])[], highest: number): void {
    const { title, lines, format } = this.#options;
    const now = lines.map(({ name }, place) => {
      const value = rows[place]?.at(-1)?.[1] ?? Number.NaN;
      return `${name} ${Number.isNaN(value) ? 'not known yet' : format(value)}`;
    });
    setAttribute(
      this.#drawing,
      'aria-label',
      `${title}: ${now.join(', ')}; at most ${format(highest)} in the last ${historyMs / 60_000} minutes.`,
    );
  }
}

/** How far a chart looks back while the page has not been open for long, so that it is not nearly empty. */
const shortSpansMs = [60_000, 120_000];

/** From the left end of the chart to now. */
function spanOf(rows: readonly (readonly Point[])[], nowMs: number): number {
  const oldestMs = Math.min(nowMs, ...rows.flatMap(([first]) => (first ? [first[0]] : [])));
  return shortSpansMs.find((spanMs) => nowMs - oldestMs <= spanMs) ?? historyMs;
}

type Place = readonly [x: number, y: number];

/** The parts of a line without a gap, in the units of the drawing. */
function runsOf(
  points: readonly Point[],
  { nowMs, spanMs, top }: { nowMs: number; spanMs: number; top: number },
): Place[][] {
  const runs: Place[][] = [[]];
  for (const [atMs, value] of points) {
    if (Number.isNaN(value)) {
      runs.push([]);
      continue;
    }
    const x = width * (1 - (nowMs - atMs) / spanMs);
    const y = 1 + (height - 2) * (1 - value / top);
    runs.at(-1)?.push([Math.max(0, x), y]);
  }
  return runs.filter((run) => run.length > 1);
}

function drawLine(run: readonly Place[]): string {
  return `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}`;
}

function drawArea(run: readonly Place[]): string {
  const [from] = run[0] ?? [0];
  const [to] = run.at(-1) ?? [0];
  return `${drawLine(run)}L${to.toFixed(1)} ${height}L${from.toFixed(1)} ${height}Z`;
}

/** The next 1, 2 or 5 times a power of two of bytes, so that the scale does not move with every value. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const unit = 1024 ** Math.floor(Math.log(value) / Math.log(1024));
  const power = 10 ** Math.floor(Math.log10(value / unit));
  const step = [1, 2, 5, 10].find((factor) => factor * power * unit >= value) ?? 10;
  return step * power * unit;
}
