import type { OutputBatch, PluginOptions } from '@chukcha/plugin-api';
import { plugin } from '../../src/index.js';

/** Options as a host gives them: with the defaults of the schema. */
export function withDefaults(given: PluginOptions): PluginOptions {
  const defaults = Object.entries(plugin.options.properties)
    .filter(([, option]) => 'default' in option)
    .map(([name, option]) => [name, option.default]);
  return { ...Object.fromEntries(defaults), ...given };
}

let batchCount = 0;

/** A batch of these messages, each without its newline, with a token that no other has. */
export function createBatch(messages: readonly string[] | Uint8Array): OutputBatch {
  batchCount += 1;
  const bytes =
    messages instanceof Uint8Array ? messages : Buffer.from(messages.map((m) => `${m}\n`).join(''));
  return {
    category: 'logs',
    cluster: 'c1',
    chunk: 'node1-chunk000000000',
    offset: 0,
    bytes,
    messageCount: bytes.filter((byte) => byte === 0x0a).length,
    token: `c1/logs/node1-chunk000000000/${batchCount}`,
  };
}
