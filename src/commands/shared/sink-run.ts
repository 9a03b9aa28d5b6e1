import type { Output, OutputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import type { Logger } from '../../common/logger.js';
import { sampleMessages } from '../../pipeline/category-sample.js';
import { Sink } from '../../pipeline/sink.js';
import type { SinkOptions } from '../../pipeline/sink-options.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { Progress } from './progress.js';

export interface SinkRun {
  readonly output: Output;
  readonly client: Client;
  readonly category: string;
  readonly group: string;
  /** The name of the output. */
  readonly target: string;
  readonly once: boolean;
  readonly giveUpAfterMs?: number;
  readonly delivery?: Pick<SinkOptions, 'batching' | 'badMessages'>;
  readonly state: StateJournal;
}

/** Loads and opens an output. */
export async function openOutput(
  plugin: FoundPlugin<OutputDescriptor>,
  options: PluginOptions,
  category: string,
  log: Logger,
  client: Client,
): Promise<Output> {
  const { open } = await plugin.descriptor.load();
  return open(options, {
    log,
    metrics: new MetricsBook(),
    category,
    sample: () => sampleMessages(client, category),
  }).catch((error: unknown) => {
    throw openError('output', plugin.descriptor.name, error);
  });
}

/** A sink, and what it shows of its progress. */
export interface ShownSink {
  readonly sink: Sink;
  readonly progress: Progress;
}

/** Makes a sink that shows its progress until that is finished; the output stays the caller's. */
export function createSink(run: SinkRun): ShownSink {
  const { output, client, state, category, group, target, once, giveUpAfterMs } = run;
  const sink: Sink = new Sink(output, client, state, {
    category,
    group,
    target,
    once,
    consumer: { onRetry: (error) => progress.problem(errorMessage(error)) },
    onOutputRetry: (error) => progress.problem(errorMessage(error)),
    ...run.delivery,
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
  const progress: Progress = new Progress('delivered', () => sink.totals.deliveredBytes);
  return { sink, progress };
}
