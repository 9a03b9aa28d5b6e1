import { hostname } from 'node:os';
import type { Input, InputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import { systemClock } from '../../common/clock.js';
import type { Logger } from '../../common/logger.js';
import { systemRandom } from '../../common/random.js';
import { createLineFormat } from '../../pipeline/formats/create-line-format.js';
import type { LineFormat, LineFormatName } from '../../pipeline/formats/line-format.js';
import { LineFormatter } from '../../pipeline/line-formatter.js';
import type { ShipSettings } from '../../pipeline/pipeline-settings.js';
import { PipelineStanding } from '../../pipeline/pipeline-standing.js';
import { Shipper, type ShipTotals } from '../../pipeline/shipper.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { StateSection } from '../../pipeline/state-section.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { messageBytesMax } from '../../protocol/limits.js';
import type { CommandLog } from './command-log.js';
import { Progress } from './progress.js';
import { WatchedPipeline } from './watched-pipeline.js';

/** Makes the ids of messages of two runs differ when their input does not name their source. */
const sourceIdBytes = 8;

export interface ShipRun {
  readonly plugin: FoundPlugin<InputDescriptor>;
  readonly pluginOptions: PluginOptions;
  readonly settings: Pick<ShipSettings, 'category' | 'format' | 'sync' | 'minSyncReplicas'>;
  readonly client: Client;
  readonly once: boolean;
  readonly giveUpAfterMs?: number;
  /** The largest batch that the node takes. */
  readonly batchBytesMax: number;
  readonly state: StateJournal;
  readonly log: Logger;
}

/** A shipper whose progress is shown. */
export interface ShownShipRun extends ShipRun {
  readonly log: CommandLog;
}

/** A shipper whose input is open. */
export interface OpenShip {
  readonly totals: ShipTotals;
  readonly formatter: LineFormatter;
  /** How it stands. */
  readonly watched: WatchedPipeline;
  /** As `Shipper.run`; closes the input then. */
  run(signal: AbortSignal): Promise<void>;
}

/** Opens the input. @param onProblem is told what failed and is tried again */
export async function openShip(
  run: ShipRun,
  onProblem: (sentence: string) => void,
): Promise<OpenShip> {
  const { category, format, sync, minSyncReplicas } = run.settings;
  const { batchBytesMax, giveUpAfterMs, client, state, log } = run;
  const formatter = new LineFormatter({
    formats: await loadFormats(),
    host: hostname(),
    sourceDefault: run.plugin.descriptor.name,
    sourceIdDefault: systemRandom.hex(sourceIdBytes),
    messageBytesMax: Math.min(messageBytesMax, batchBytesMax),
  });
  const figures = new MetricsBook();
  const input = await openInput(run, figures);
  const standing = new PipelineStanding(systemClock);
  const shipper = new Shipper(
    input,
    {
      category,
      format,
      sync,
      ...(minSyncReplicas === undefined ? {} : { minSyncReplicas }),
      batchBytesMax,
      onRetry: (error) => {
        standing.noteRetry(error, 'bus');
        onProblem(errorMessage(error));
      },
      onAccepted: () => standing.noteSuccess(),
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
    },
    { client, state, formatter, log },
  );
  const { totals } = shipper;
  const watched = new WatchedPipeline({
    kind: 'ship',
    category,
    plugin: run.plugin.descriptor.name,
    group: null,
    standing,
    figures,
    totals: () => ({
      bytes: totals.acceptedBytes,
      messages: totals.acceptedMessages,
      readBytes: totals.readBytes,
      deadLetters: 0,
      duplicates: totals.duplicateWrites,
    }),
    backlog: async () => totals.readBytes - totals.acceptedBytes + unreadIn(figures),
  });
  return {
    totals,
    formatter,
    watched,
    run: (signal) => shipper.run(signal).finally(() => input.close()),
  };
}

/**
 * Opens the input, ships until it ends or the signal aborts, and closes it; shows its progress.
 *
 * @param onOpen is told when the input is open
 */
export async function runShip(
  run: ShownShipRun,
  signal: AbortSignal,
  onOpen: (watched: WatchedPipeline) => void,
): Promise<void> {
  let progress: Progress | undefined;
  const ship = await openShip(run, (sentence) => progress?.problem(sentence));
  progress = new Progress(run.log, 'shipped', () => ship.totals.acceptedBytes, {
    note: () => noteOn(ship.formatter),
  });
  onOpen(ship.watched);
  try {
    await ship.run(signal);
  } finally {
    progress.finish();
  }
}

/** What there is to read, as far as the input counts it; plugins that do name that gauge alike. */
function unreadIn(figures: MetricsBook): number {
  return figures.list().find(({ name }) => name === 'unread_bytes')?.value ?? 0;
}

/** What the format could not do as it should; empty when it could. */
function noteOn({ cutCount, wrappedCount }: LineFormatter): string {
  const notes: string[] = [];
  if (wrappedCount > 0) notes.push(`${wrappedCount} lines were no JSON objects and were wrapped`);
  if (cutCount > 0) notes.push(`${cutCount} were cut`);
  return notes.join(', ');
}

/** All of them: what an earlier run was about to send may have another one than this run. */
async function loadFormats(): Promise<Map<LineFormatName, LineFormat>> {
  const names = ['json', 'envelope'] as const;
  const formats = await Promise.all(names.map((name) => createLineFormat(name)));
  return new Map(formats.map((format) => [format.name, format]));
}

async function openInput(run: ShipRun, metrics: MetricsBook): Promise<Input> {
  const { descriptor } = run.plugin;
  const { open } = await descriptor.load();
  return open(run.pluginOptions, {
    log: run.log,
    metrics,
    state: new StateSection(run.state, 'input'),
    once: run.once,
    messageBytesMax: Math.min(messageBytesMax, run.batchBytesMax),
    batchBytesMax: run.batchBytesMax,
  }).catch((error: unknown) => {
    throw openError('input', descriptor.name, error);
  });
}
