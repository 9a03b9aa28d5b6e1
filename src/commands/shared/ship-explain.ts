import { join } from 'node:path';
import type { InputDescriptor, PluginLog, PluginOptions, SourceReport } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import type { Logger } from '../../common/logger.js';
import { formatBytes } from '../../common/quantity.js';
import { StateJournal } from '../../pipeline/state-journal.js';
import { StateSnapshot } from '../../pipeline/state-section.js';
import { MetricsBook } from '../../plugin-host/metrics-book.js';
import { type FoundPlugin, openError } from '../../plugin-host/plugin-registry.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { batchBytesMaxDefault, messageBytesMax } from '../../protocol/limits.js';
import { nodeDisk } from '../../storage/node-disk.js';
import { formatTable } from './format-table.js';
import { stateJournalName } from './pipeline-state.js';

export interface ShipExplain {
  readonly plugin: FoundPlugin<InputDescriptor>;
  readonly options: PluginOptions;
  readonly client: Client;
  readonly directory: string;
  readonly log: Logger;
}

/**
 * Says of each source of an input why it moves or does not, and whether a node takes what comes. Changes nothing, and
 * works beside a shipper that runs.
 */
export async function explainShip(run: ShipExplain): Promise<string[]> {
  const reports = await readReports(run);
  const node = await describeNode(run.client);
  if (reports === undefined) {
    return [`The input ${run.plugin.descriptor.name} cannot say anything of its sources.`, node];
  }
  return [...describeReports(reports), node];
}

/** What the input says of its sources; `undefined` when it cannot. Throws what it cannot be opened for. */
export async function readReports(run: ShipExplain): Promise<readonly SourceReport[] | undefined> {
  const { plugin, options, directory, log } = run;
  const { descriptor } = plugin;
  const entries = await StateJournal.read(nodeDisk, join(directory, stateJournalName));
  const { open } = await descriptor.load();
  const input = await open(options, {
    log: warningsOf(log),
    metrics: new MetricsBook(),
    // A copy: a look must not move anything.
    state: new StateSnapshot(entries, 'input'),
    once: false,
    messageBytesMax,
    batchBytesMax: batchBytesMaxDefault,
  }).catch((error: unknown) => {
    throw openError('input', descriptor.name, error);
  });
  try {
    return await input.explain?.();
  } finally {
    await input.close();
  }
}

/** What an input says of its progress is no news to who looks at it. */
function warningsOf(log: Logger): PluginLog {
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: log.warn.bind(log),
    error: log.error.bind(log),
  };
}

async function describeNode(client: Client): Promise<string> {
  try {
    const { node } = await client.live();
    return `Node ${node} at ${client.server} answers.`;
  } catch (error) {
    return `Everything waits for a node: ${errorMessage(error)}`;
  }
}

function describeReports(reports: readonly SourceReport[]): string[] {
  if (reports.length === 0) return ['There are no sources.'];
  const size = (bytes: number | undefined): string =>
    bytes === undefined ? '' : formatBytes(bytes);
  return formatTable(
    [
      { title: 'STATE', value: ({ state }) => state },
      { title: 'ACCEPTED', value: ({ acceptedBytes }) => size(acceptedBytes), align: 'right' },
      { title: 'OF', value: ({ sourceBytes }) => size(sourceBytes), align: 'right' },
      { title: 'SOURCE', value: ({ source }) => source },
      { title: 'WHY', value: ({ detail }) => detail },
    ],
    reports,
  );
}
