import type { Output, OutputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import { GroupLease } from '../../client/group-lease.js';
import { systemClock } from '../../common/clock.js';
import type { Logger } from '../../common/logger.js';
import { sampleMessages } from '../../pipeline/category-sample.js';
import type { SinkSettings } from '../../pipeline/pipeline-settings.js';
import { Sink } from '../../pipeline/sink.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import type { CommandLog } from './command-log.js';
import { leaseHolder } from './lease-holder.js';
import { Progress } from './progress.js';

export interface SinkRun {
  readonly plugin: FoundPlugin<OutputDescriptor>;
  readonly pluginOptions: PluginOptions;
  readonly settings: Pick<SinkSettings, 'category' | 'group' | 'delivery'>;
  readonly client: Client;
  readonly once: boolean;
  readonly giveUpAfterMs?: number;
  readonly state: StateJournal;
  readonly log: Logger;
}

/** A sink whose output is open. */
export interface OpenSink {
  readonly sink: Sink;
  /** What the output counts. */
  readonly figures: MetricsBook;
  close(): Promise<void>;
}

/** What an output is opened for. */
export interface OutputRun {
  readonly plugin: FoundPlugin<OutputDescriptor>;
  readonly pluginOptions: PluginOptions;
  readonly category: string;
  readonly client: Client;
  readonly log: Logger;
}

/** Loads and opens an output. */
export async function openOutput(run: OutputRun, metrics = new MetricsBook()): Promise<Output> {
  const { plugin, pluginOptions, category, client, log } = run;
  const { open } = await plugin.descriptor.load();
  return open(pluginOptions, {
    log,
    metrics,
    category,
    sample: () => sampleMessages(client, category),
  }).catch((error: unknown) => {
    throw openError('output', plugin.descriptor.name, error);
  });
}

/** Opens the output, and makes a sink of it. @param onProblem is told what failed and is tried again */
export async function openSink(
  run: SinkRun,
  onProblem: (sentence: string) => void,
): Promise<OpenSink> {
  const { plugin, client, state, once, giveUpAfterMs, log, pluginOptions } = run;
  const { category, group, delivery } = run.settings;
  const figures = new MetricsBook();
  const output = await openOutput({ plugin, pluginOptions, category, client, log }, figures);
  const sink = new Sink(output, client, state, {
    category,
    group,
    target: plugin.descriptor.name,
    once,
    consumer: { onRetry: (error) => onProblem(errorMessage(error)) },
    onOutputRetry: (error) => onProblem(errorMessage(error)),
    ...delivery,
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
  return { sink, figures, close: () => output.close() };
}

/** A sink whose progress is to be shown. */
export interface ShownSinkRun extends SinkRun {
  readonly log: CommandLog;
}

/** A sink that shows its progress until that is finished. */
export interface ShownSink extends OpenSink {
  readonly progress: Progress;
}

/** As {@link openSink}, with its progress shown. */
export async function openShownSink(run: ShownSinkRun): Promise<ShownSink> {
  let progress: Progress | undefined;
  const opened = await openSink(run, (sentence) => progress?.problem(sentence));
  const { totals } = opened.sink;
  progress = new Progress(run.log, 'delivered', () => totals.deliveredBytes, {
    note: () => (totals.deadLetters === 0 ? '' : `${totals.deadLetters} dead letters`),
    backlog: () => backlogOf(run),
  });
  return { ...opened, progress };
}

/**
 * Runs a sink while no other one drains the category for its group, as far as their nodes know; stands by otherwise. What a
 * killed run with the same state has held is its own, so it goes on at once.
 *
 * @param onStandby is told who does the work, once for each
 */
export async function runAlone(
  { client, settings, state }: Pick<SinkRun, 'client' | 'settings' | 'state'>,
  onStandby: (holder: string) => void,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const { category, group } = settings;
  const holder = await leaseHolder(state);
  const lease = new GroupLease(client, { category, group, holder, clock: systemClock, onStandby });
  await lease.hold(signal, work);
}

/** What the group has still to acknowledge, in bytes; `undefined` while no node can say. */
async function backlogOf({ client, settings }: SinkRun): Promise<number | undefined> {
  const groups = await client.groups(settings.category).catch(() => []);
  return groups.find(({ group }) => group === settings.group)?.bytes;
}
