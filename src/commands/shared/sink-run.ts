import type { Output, OutputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import type { Logger } from '../../common/logger.js';
import { Sink } from '../../pipeline/sink.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { Progress } from './progress.js';

export interface SinkRun {
  readonly output: Output;
  readonly client: Client;
  readonly category: string;
  readonly group: string;
  readonly once: boolean;
  readonly giveUpAfterMs?: number;
  readonly state: StateJournal;
}

/** Loads and opens an output. */
export async function openOutput(
  plugin: FoundPlugin<OutputDescriptor>,
  options: PluginOptions,
  category: string,
  log: Logger,
): Promise<Output> {
  const { open } = await plugin.descriptor.load();
  return open(options, { log, category }).catch((error: unknown) => {
    throw openError('output', plugin.descriptor.name, error);
  });
}

/** Drains the category into the output until it is done or the signal aborts; the output stays open. */
export async function runSink(run: SinkRun, signal: AbortSignal): Promise<void> {
  const { output, client, state, category, group, once, giveUpAfterMs } = run;
  const sink: Sink = new Sink(output, client, state, {
    category,
    group,
    once,
    consumer: { onRetry: (error) => progress.problem(error.message) },
    onOutputRetry: (error) => progress.problem(errorMessage(error)),
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
  const progress: Progress = new Progress('delivered', () => sink.totals.deliveredBytes);
  try {
    await sink.run(signal);
  } finally {
    progress.finish();
  }
}
