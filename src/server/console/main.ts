import { type CategoryRow, categoryColumns } from './category-columns.js';
import { CategoryView } from './category-view.js';
import { part, setAttribute, setText } from './element.js';
import { type GroupRow, groupColumns } from './group-columns.js';
import { LiveTable } from './live-table.js';
import { NodeCalls } from './node-calls.js';
import { nodeColumns, nodeRows } from './node-columns.js';
import type { MemberReport, NodeReport, PipelineReport } from './node-report.js';
import { type Link, NodeWatch } from './node-watch.js';
import { findNotices, NoticeList } from './notices.js';
import { Overview } from './overview.js';
import { pipelineColumns, pipelineKey } from './pipeline-columns.js';
import { Session } from './session.js';
import { SignIn } from './sign-in.js';
import { connectThemeSwitch } from './theme-choice.js';
import { TrafficHistory } from './traffic-history.js';

/** Puts the parts of the page together, and hands each report to them. */
class ConsolePage {
  readonly #session = new Session();
  readonly #calls = new NodeCalls(this.#session);
  readonly #history = new TrafficHistory();
  readonly #overview = new Overview();
  readonly #notices = new NoticeList();
  readonly #view = new CategoryView(this.#calls);
  readonly #signIn = new SignIn(this.#session, () => this.#watch.tryNow());
  readonly #nodes = new LiveTable<MemberReport>({
    title: 'Nodes',
    keyOf: ({ name }) => name,
    columns: nodeColumns,
  });
  readonly #categories = new LiveTable<CategoryRow>({
    title: 'Categories',
    keyOf: ({ name }) => name,
    columns: categoryColumns((name) => this.#choose(name)),
  });
  readonly #groups = new LiveTable<GroupRow>({
    title: 'Groups',
    keyOf: ({ category, group }) => `${group} ${category}`,
    columns: groupColumns,
  });
  readonly #pipelines = new LiveTable<PipelineReport>({
    title: 'Pipelines',
    keyOf: pipelineKey,
    columns: pipelineColumns,
  });
  readonly #watch = new NodeWatch(this.#calls, {
    reported: (report) => this.#show(report),
    linkChanged: (link) => this.#showLink(link),
  });
  #report: NodeReport | undefined;

  start(): void {
    connectThemeSwitch(part('theme', HTMLSelectElement));
    setText(part('write-command', HTMLElement), writeCommand());
    for (const [id, { box }] of [
      ['nodes-table', this.#nodes],
      ['categories-table', this.#categories],
      ['groups-table', this.#groups],
      ['pipelines-table', this.#pipelines],
    ] as const) {
      part(id, HTMLElement).append(box);
    }
    window.addEventListener('hashchange', () => this.#followAddress());
    void this.#watch.run();
  }

  #show(report: NodeReport): void {
    this.#report = report;
    this.#history.add(report, performance.now());
    this.#overview.update(report, this.#history);
    this.#showLink(this.#watch.link);
    this.#nodes.update(nodeRows(report));
    this.#followAddress();
    void this.#view.refresh();
    showIf('groups', this.#groups, groupRows(report, this.#history));
    showIf('pipelines', this.#pipelines, report.pipelines ?? []);
  }

  #showLink(link: Link): void {
    this.#overview.showLink(link, this.#report);
    this.#notices.update(findNotices(link, this.#report));
    const isRefused = link.kind === 'refused';
    setAttribute(part('content', HTMLElement), 'hidden', isRefused);
    setAttribute(document.body, 'data-link', link.kind);
    if (isRefused) this.#signIn.ask(link.status, link.sentence);
  }

  /** The category that is chosen is in the address, so that the page can be loaded again, and shown to others. */
  #choose(name: string): void {
    history.replaceState(null, '', `#${new URLSearchParams({ category: name })}`);
    this.#followAddress();
  }

  /** Without a choice the first category is shown. */
  #followAddress(): void {
    if (this.#report === undefined) return;
    const { categories } = this.#report;
    const asked = new URLSearchParams(location.hash.slice(1)).get('category');
    const chosen = categories.find(({ name }) => name === asked) ?? categories[0];
    if (this.#view.category !== (chosen?.name ?? '')) this.#view.choose(chosen?.name ?? '');
    const rows = categories.map((category) => ({
      ...category,
      rates: this.#history.rates(category.name),
      isChosen: category === chosen,
    }));
    showIf('categories', this.#categories, rows);
    setAttribute(part('chosen', HTMLElement), 'hidden', categories.length === 0);
  }
}

function groupRows({ categories }: NodeReport, history: TrafficHistory): GroupRow[] {
  return categories.flatMap(({ name: category, groups }) =>
    groups.map((group) => ({
      ...group,
      category,
      drainRate: history.drainRate(category, group.group),
    })),
  );
}

/** A table without rows gives way to the sentence that says what there could be. */
function showIf<Row>(id: string, table: LiveTable<Row>, rows: readonly Row[]): void {
  table.update(rows);
  setAttribute(table.box, 'hidden', rows.length === 0);
  setAttribute(part(`${id}-empty`, HTMLElement), 'hidden', rows.length > 0);
}

function writeCommand(): string {
  return `curl --data-binary $'hello\\n' "${location.origin}/write?category=logs"`;
}

new ConsolePage().start();
