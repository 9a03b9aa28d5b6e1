import type { PluginMetrics } from '@chukcha/plugin-api';

/** One figure of a plugin, as it is now. */
export interface PluginFigure {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly value: number;
}

/** How many figures a plugin may have; whatever makes names out of data must not fill the memory. */
const figureCountMax = 200;

const namePattern = /^[a-z][a-z0-9_]{0,99}$/;

/** The figures of one plugin that runs. */
export class MetricsBook implements PluginMetrics {
  readonly #figures = new Map<
    string,
    { help: string; kind: PluginFigure['kind']; value: number }
  >();

  counter(name: string, help: string): { add(count?: number): void } {
    const figure = this.#figure(name, help, 'counter');
    return {
      add: (count = 1) => {
        if (!(count > 0))
          throw new RangeError(`Counter ${name} grows by more than 0, not ${count}.`);
        figure.value += count;
      },
    };
  }

  gauge(name: string, help: string): { set(value: number): void } {
    const figure = this.#figure(name, help, 'gauge');
    return {
      set: (value) => {
        figure.value = value;
      },
    };
  }

  /** By name. */
  list(): PluginFigure[] {
    return [...this.#figures]
      .map(([name, figure]) => ({ name, ...figure }))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  #figure(name: string, help: string, kind: PluginFigure['kind']): { value: number } {
    const known = this.#figures.get(name);
    if (known?.kind === kind) return known;
    if (known !== undefined)
      throw new TypeError(`Figure ${name} is a ${known.kind}, not a ${kind}.`);
    if (!namePattern.test(name)) {
      throw new TypeError(`Figure ${JSON.stringify(name)} is not named as ${namePattern} says.`);
    }
    if (this.#figures.size >= figureCountMax) {
      throw new RangeError(`A plugin may have ${figureCountMax} figures; ${name} is one more.`);
    }
    const figure = { help, kind, value: 0 };
    this.#figures.set(name, figure);
    return figure;
  }
}
