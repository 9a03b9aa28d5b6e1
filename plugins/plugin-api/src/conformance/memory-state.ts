import type { PluginState } from '../plugin-state.js';

/**
 * A `PluginState` that lives in memory, for tests. Values pass through JSON as they do in the real one,
 * so a value that JSON cannot hold fails here too.
 *
 * A copy of one, `createMemoryState(state.entries())`, is what a kill of the process would have left.
 */
export function createMemoryState(
  entries: Iterable<readonly [key: string, value: unknown]> = [],
): PluginState {
  const texts = new Map<string, string>();
  for (const [key, value] of entries) texts.set(key, JSON.stringify(value));
  return {
    get: (key) => {
      const text = texts.get(key);
      return text === undefined ? undefined : JSON.parse(text);
    },
    *entries() {
      for (const [key, text] of texts) yield [key, JSON.parse(text)] as const;
    },
    set: async (key, value) => {
      if (value === undefined) texts.delete(key);
      else texts.set(key, JSON.stringify(value));
    },
  };
}
