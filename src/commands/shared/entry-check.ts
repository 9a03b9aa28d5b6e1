import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { CheckStep } from '@chukcha/plugin-api';
import { Client } from '../../client/client.js';
import { callEachNode } from '../../client/retry-on-nodes.js';
import type { Logger } from '../../common/logger.js';
import { errorMessage } from '../../protocol/chukcha-error.js';
import { readCredentials } from './credential-flags.js';
import { checkOutput } from './output-check.js';
import type { NodeEntry, RunEntry, ShipEntry, SinkEntry } from './run-file.js';
import { readReports } from './ship-explain.js';

/** Looks whether a node, a ship or a sink of a file would work; changes and sends nothing. */
export async function* checkEntry(entry: RunEntry, log: Logger): AsyncGenerator<CheckStep> {
  try {
    if (entry.kind === 'node') yield await checkNode(entry);
    else if (entry.kind === 'ship') yield* checkShip(entry, log);
    else yield* checkSink(entry, log);
  } catch (error) {
    yield { name: 'check', result: 'failed', detail: errorMessage(error) };
  }
}

async function checkNode({ options }: NodeEntry): Promise<CheckStep> {
  const { dataDirectory } = options;
  const directory = await firstExisting(resolve(dataDirectory));
  try {
    await access(directory, constants.W_OK);
  } catch (error) {
    return {
      name: 'directory',
      result: 'failed',
      detail: `${dataDirectory} cannot be written to (${errorMessage(error)}).`,
      fix: `sudo install -d -o "$USER" ${resolve(dataDirectory)}`,
    };
  }
  return { name: 'directory', result: 'ok', detail: `${dataDirectory} can be written to.` };
}

/** The directory, or the nearest one above it that is there. */
async function firstExisting(path: string): Promise<string> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  return exists || path === dirname(path) ? path : firstExisting(dirname(path));
}

async function* checkShip(
  { settings, credentials, input }: ShipEntry,
  log: Logger,
): AsyncGenerator<CheckStep> {
  const client = new Client({ server: settings.server, ...(await readCredentials(credentials)) });
  try {
    yield await checkServer(client);
    const run = { plugin: input.plugin, options: input.options, client, directory: '', log };
    const reports = await readReports(run);
    if (reports === undefined) {
      yield { name: 'input', result: 'ok', detail: `The input of ${settings.from} can be opened.` };
      return;
    }
    if (reports.length === 0) {
      yield { name: 'sources', result: 'warning', detail: `${settings.from} has no sources yet.` };
    }
    for (const { source, state, detail } of reports) {
      const result = state === 'no_permission' || state === 'failed' ? 'failed' : 'ok';
      yield { name: source, result, detail };
    }
  } finally {
    client.close();
  }
}

async function* checkSink(
  { settings, credentials, output }: SinkEntry,
  log: Logger,
): AsyncGenerator<CheckStep> {
  const client = new Client({ server: settings.server, ...(await readCredentials(credentials)) });
  try {
    yield await checkServer(client);
    const { plugin, options } = output;
    yield* checkOutput({ plugin, options, client, category: settings.category, log });
  } finally {
    client.close();
  }
}

/** A node that is not there may be one of the same file, which does not run yet. */
async function checkServer(client: Client): Promise<CheckStep> {
  try {
    const { node } = await callEachNode(client, () => client.live());
    return { name: 'server', result: 'ok', detail: `Node ${node} at ${client.server} answers.` };
  } catch (error) {
    return { name: 'server', result: 'warning', detail: errorMessage(error) };
  }
}
