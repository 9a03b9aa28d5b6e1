import type { Output, OutputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import { GroupLease } from '../../client/group-lease.js';
import { systemClock } from '../../common/clock.js';
import type { Logger } from '../../common/logger.js';
import { sampleMessages } from '../../pipeline/category-sample.js';
import type { SinkSettings } from '../../pipeline/pipeline-settings.js';
import { type PipelineSide, PipelineStanding } from '../../pipeline/pipeline-standing.js';
import { Sink } from '../../pipeline/sink.js';
import type { SinkUntil } from '../../pipeline/sink-options.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import type { CommandLog } from './command-log.js';
import { leaseHolder } from './lease-holder.js';
import { Progress } from './progress.js';
import { WatchedPipeline } from './watched-pipeline.js';

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
  readonly standing: PipelineStanding;
  /** How it stands. */
  readonly watched: WatchedPipeline;
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
  const standing = new PipelineStanding(systemClock);
  const noteRetry = (error: unknown, side: PipelineSide): void => {
    standing.noteRetry(error, side);
    onProblem(errorMessage(error));
  };
  const sink = new Sink(output, client, state, {
    category,
    group,
    target: plugin.descriptor.name,
    once,
    consumer: { onRetry: (error) => noteRetry(error, 'bus') },
    onOutputRetry: (error) => noteRetry(error, 'plugin'),
    onDelivered: () => standing.noteSuccess(),
    onDeadLetters: (reason) => standing.noteRefused(reason),
    ...delivery,
    ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
  });
  const watched = new WatchedPipeline({
    kind: 'sink',
    category,
    plugin: plugin.descriptor.name,
    group,
    standing,
    figures,
    totals: () => ({
      bytes: sink.totals.deliveredBytes,
      messages: sink.totals.deliveredMessages,
      readBytes: 0,
      deadLetters: sink.totals.deadLetters,
      duplicates: duplicatesIn(figures),
    }),
    backlog: async () => {
      // Whoever does the work knows how much of it is left.
      if (standing.isStandingBy) return undefined;
      return backlogOf(run, sink, () => standing.noteBusAnswer());
    },
  });
  return { sink, standing, watched, close: () => output.close() };
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
    backlog: () => backlogOf(run, opened.sink),
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
  { sink, standing }: Pick<OpenSink, 'sink' | 'standing'>,
  onStandby: (holder: string) => void,
  signal: AbortSignal,
  until: SinkUntil,
): Promise<void> {
  const { category, group } = settings;
  const holder = await leaseHolder(state);
  const lease = new GroupLease(client, {
    category,
    group,
    holder,
    clock: systemClock,
    onStandby: (other) => {
      standing.isStandingBy = true;
      onStandby(other);
    },
  });
  await lease.hold(signal, (held) => {
    standing.isStandingBy = false;
    return sink.run(held, until);
  });
}

/**
 * What is still to be delivered, in bytes; `undefined` while no node can say. The group acknowledges whole chunks, so that what
 * was delivered of the last ones counts for its node still.
 *
 * @param onAnswer is told when a node has answered, also when it does not know the group
 */
async function backlogOf(
  { client, settings }: SinkRun,
  sink: Sink,
  onAnswer?: () => void,
): Promise<number | undefined> {
  const groups = await client.groups(settings.category).catch(() => undefined);
  if (groups === undefined) return undefined;
  onAnswer?.();
  const bytes = groups.find(({ group }) => group === settings.group)?.bytes;
  return bytes === undefined ? undefined : Math.max(0, bytes - sink.deliveredUnacknowledgedBytes);
}

/** What the target had already, as far as the output counts it; plugins name such counters alike. */
function duplicatesIn(figures: MetricsBook): number {
  return figures
    .list()
    .filter(({ name }) => /^duplicate\w*_total$/.test(name))
    .reduce((sum, { value }) => sum + value, 0);
}
