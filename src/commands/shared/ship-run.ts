import { hostname } from 'node:os';
import type { InputDescriptor, PluginOptions } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import type { Logger } from '../../common/logger.js';
import { systemRandom } from '../../common/random.js';
import { LineFormatter } from '../../pipeline/line-formatter.js';
import { Shipper } from '../../pipeline/shipper.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { StateSection } from '../../pipeline/state-section.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { messageBytesMax } from '../../protocol/limits.js';
import { Progress } from './progress.js';

/** Makes the ids of messages of two runs differ when their input does not name their source. */
const sourceIdBytes = 8;

export interface ShipRun {
  readonly plugin: FoundPlugin<InputDescriptor>;
  readonly pluginOptions: PluginOptions;
  readonly client: Client;
  readonly category: string;
  readonly once: boolean;
  readonly sync: boolean;
  readonly minSyncReplicas?: number;
  readonly giveUpAfterMs?: number;
  /** The largest batch that the node takes. */
  readonly batchBytesMax: number;
  readonly state: StateJournal;
  readonly log: Logger;
}

/** Opens the input, ships until it ends or the signal aborts, and closes it. */
export async function runShip(run: ShipRun, signal: AbortSignal): Promise<void> {
  const { descriptor } = run.plugin;
  const { open } = await descriptor.load();
  const input = await open(run.pluginOptions, {
    log: run.log,
    metrics: new MetricsBook(),
    state: new StateSection(run.state, 'input'),
    once: run.once,
    messageBytesMax: Math.min(messageBytesMax, run.batchBytesMax),
    batchBytesMax: run.batchBytesMax,
  }).catch((error: unknown) => {
    throw openError('input', descriptor.name, error);
  });
  const formatter = new LineFormatter({
    formats: new Map(),
    host: hostname(),
    sourceDefault: descriptor.name,
    sourceIdDefault: systemRandom.hex(sourceIdBytes),
    messageBytesMax: Math.min(messageBytesMax, run.batchBytesMax),
  });
  const shipper: Shipper = new Shipper(
    input,
    {
      category: run.category,
      sync: run.sync,
      ...(run.minSyncReplicas === undefined ? {} : { minSyncReplicas: run.minSyncReplicas }),
      batchBytesMax: run.batchBytesMax,
      onRetry: (error) => progress.problem(errorMessage(error)),
      ...(run.giveUpAfterMs === undefined ? {} : { giveUpAfterMs: run.giveUpAfterMs }),
    },
    { client: run.client, state: run.state, formatter, log: run.log },
  );
  const progress: Progress = new Progress('shipped', () => shipper.totals.acceptedBytes);
  try {
    await shipper.run(signal);
  } finally {
    await input.close();
    progress.finish();
  }
}
