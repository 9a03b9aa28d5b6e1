import { element, setAttribute, setText } from './element.js';
import { formatCount } from './format-figures.js';

type Tone = 'plain' | 'quiet' | 'good' | 'warn' | 'bad';

/** What a cell shows; a plain string is a text. */
export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
  /** A link to there, when it is an address of HTTP. */
  readonly href?: string;
  /** Makes the text a button. */
  readonly press?: () => void;
  /** What a screen reader calls the button, where the text alone does not say it. */
  readonly label?: string;
  /** Whether the button is the chosen one of its column. */
  readonly isPressed?: boolean;
}

export interface Column<Row> {
  readonly title: string;
  /** Numbers stand at the right, digit under digit. */
  readonly isNumber?: boolean;
  /** Long texts are broken into lines; others stay in one. */
  readonly isWords?: boolean;
  cell(row: Row): Cell | string;
}

export interface LiveTableOptions<Row> {
  readonly title: string;
  readonly keyOf: (row: Row) => string;
  /** The first names the row. */
  readonly columns: readonly Column<Row>[];
}

/** Rows beyond are counted, and found by the filter. */
const rowCountMax = 200;

/** From so many rows on there is a filter. */
const filterFromCount = 12;

interface ShownRow {
  readonly line: HTMLTableRowElement;
  readonly cells: readonly HTMLTableCellElement[];
  /** What each cell shows, to be compared. */
  readonly signs: string[];
}

/**
 * A table whose rows change in place: what has the focus or is selected stays as it is. The roles are named, because on
 * a phone each row is laid out as a card, and browsers forget then that it is a table.
 */
export class LiveTable<Row> {
  readonly box = element('div', { class: 'table-box' });
  readonly #options: LiveTableOptions<Row>;
  readonly #body = element('tbody', { role: 'rowgroup' });
  readonly #filter: HTMLInputElement;
  readonly #filterBox: HTMLElement;
  readonly #rest = element('p', { class: 'quiet', hidden: true });
  readonly #shown = new Map<string, ShownRow>();
  #rows: readonly Row[] = [];

  constructor(options: LiveTableOptions<Row>) {
    this.#options = options;
    const { title, columns } = options;
    const heads = columns.map((column) =>
      element('th', { scope: 'col', role: 'columnheader', class: classOf(column) }, column.title),
    );
    const head = element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads));
    this.#filter = element('input', { type: 'search', 'aria-label': `Filter ${title} by name` });
    this.#filter.placeholder = 'Filter by name';
    this.#filter.addEventListener('input', () => this.#show());
    this.#filterBox = element('p', { class: 'filter', hidden: true }, this.#filter);
    const table = element('table', { role: 'table', 'aria-label': title }, head, this.#body);
    this.box.append(this.#filterBox, table, this.#rest);
  }

  update(rows: readonly Row[]): void {
    this.#rows = rows;
    this.#show();
  }

  #show(): void {
    const { keyOf } = this.#options;
    const wanted = this.#filter.value.trim().toLowerCase();
    const matching = this.#rows.filter((row) => keyOf(row).toLowerCase().includes(wanted));
    const rows = matching.slice(0, rowCountMax);
    setAttribute(this.#filterBox, 'hidden', this.#rows.length < filterFromCount && wanted === '');
    this.#tellRest(rows.length, matching.length);
    const keys = new Set(rows.map(keyOf));
    for (const [key, { line }] of this.#shown) {
      if (keys.has(key)) continue;
      line.remove();
      this.#shown.delete(key);
    }
    rows.forEach((row, place) => {
      const line = this.#showRow(row);
      if (this.#body.rows[place] !== line)
        this.#body.insertBefore(line, this.#body.rows[place] ?? null);
    });
  }

  #tellRest(shownCount: number, matchingCount: number): void {
    const isWhole = shownCount === this.#rows.length;
    setAttribute(this.#rest, 'hidden', isWhole);
    if (isWhole) return;
    const matching = matchingCount === this.#rows.length ? '' : ' that match';
    setText(
      this.#rest,
      `${formatCount(shownCount)} of ${formatCount(matchingCount)}${matching} are shown, of ${formatCount(this.#rows.length)} in all.`,
    );
  }

  #showRow(row: Row): HTMLTableRowElement {
    const key = this.#options.keyOf(row);
    const shown = this.#shown.get(key) ?? this.#makeRow(key);
    this.#options.columns.forEach((column, place) => {
      const content = column.cell(row);
      const cell = shown.cells[place];
      if (cell)
        showCell(cell, typeof content === 'string' ? { text: content } : content, shown, place);
    });
    return shown.line;
  }

  #makeRow(key: string): ShownRow {
    const cells = this.#options.columns.map((column, place) =>
      element(place === 0 ? 'th' : 'td', {
        ...(place === 0 ? { scope: 'row', role: 'rowheader' } : { role: 'cell' }),
        class: classOf(column),
        'data-title': column.title,
      }),
    );
    const line = element('tr', { role: 'row' }, ...cells);
    const shown = { line, cells, signs: cells.map(() => '') };
    this.#shown.set(key, shown);
    return shown;
  }
}

function classOf<Row>({ isNumber = false, isWords = false }: Column<Row>): string {
  if (isNumber) return 'number';
  return isWords ? 'words' : '';
}

/** What the button of a cell does now. */
const presses = new WeakMap<Element, () => void>();

function showCell(cell: HTMLTableCellElement, content: Cell, shown: ShownRow, place: number): void {
  const { press, ...visible } = content;
  const button = cell.querySelector('button');
  if (press && button) {
    presses.set(button, press);
  }
  const sign = JSON.stringify([visible, press !== undefined]);
  if (shown.signs[place] === sign) return;
  shown.signs[place] = sign;
  setAttribute(cell, 'data-tone', content.tone ?? 'plain');
  if (press) showButton(cell, button ?? makeButton(cell), press, content);
  else if (content.href !== undefined && /^https?:\/\//.test(content.href)) {
    cell.replaceChildren(element('a', { href: content.href }, content.text));
  } else setText(cell, content.text);
}

function makeButton(cell: HTMLTableCellElement): HTMLButtonElement {
  const button = element('button', { type: 'button', class: 'in-cell' });
  button.addEventListener('click', () => presses.get(button)?.());
  cell.replaceChildren(button);
  // Where a column's title stands beside each cell, the button says it already.
  cell.classList.add('press');
  return button;
}

function showButton(
  cell: HTMLTableCellElement,
  button: HTMLButtonElement,
  press: () => void,
  { text, label, isPressed }: Cell,
): void {
  presses.set(button, press);
  setText(button, text);
  if (label !== undefined) setAttribute(button, 'aria-label', label);
  if (isPressed === undefined) return;
  setAttribute(button, 'aria-pressed', String(isPressed));
  setAttribute(cell.closest('tr') ?? cell, 'data-chosen', isPressed);
}
