/** What JSON can say. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * What a plugin remembers over restarts: a small map of JSON values that the host keeps in its state
 * directory. One process at a time has it.
 */
export interface PluginState {
  get(key: string): unknown;
  entries(): IterableIterator<readonly [key: string, value: unknown]>;
  /** Resolves when the value survives a kill of the process. `undefined` removes the key. */
  set(key: string, value: unknown): Promise<void>;
}
