import { join } from 'node:path';
import { Client } from '../../client/client.js';
import { retryOnNodes } from '../../client/retry-on-nodes.js';
import { systemClock } from '../../common/clock.js';
import type { Logger } from '../../common/logger.js';
import { systemRandom } from '../../common/random.js';
import { startNode } from '../../node/start-node.js';
import type { StateJournal } from '../../pipeline/state-journal.js';
import { readCredentials } from './credential-flags.js';
import { openPipelineState } from './pipeline-state.js';
import type { NodeEntry, RunEntry, ShipEntry, SinkEntry } from './run-file.js';
import { openShip } from './ship-run.js';
import { rememberAbout } from './ship-states.js';
import { openSink, runAlone } from './sink-run.js';
import type { WatchedPipeline } from './watched-pipeline.js';

export interface RunTaskPorts {
  /** Where the states of all ships and sinks lie. */
  readonly stateDirectory: string;
  readonly log: Logger;
  readonly onProblem: (sentence: string) => void;
}

/** A node, a ship or a sink of a file, ready to be run, also again and again. */
export class RunTask {
  readonly entry: RunEntry;
  readonly #ports: RunTaskPorts;
  #watched: WatchedPipeline | undefined;

  constructor(entry: RunEntry, ports: RunTaskPorts) {
    this.entry = entry;
    this.#ports = ports;
  }

  /** How its pipeline stands, or stood when it ended last; `undefined` before its plugin was open, and for a node. */
  get watched(): WatchedPipeline | undefined {
    return this.#watched;
  }

  /** Runs until the signal aborts; what is under way then is finished, so that nothing comes twice later. */
  run(signal: AbortSignal, ready: () => void): Promise<void> {
    switch (this.entry.kind) {
      case 'node':
        return this.#runNode(this.entry, signal, ready);
      case 'ship':
        return this.#runShip(this.entry, signal, ready);
      case 'sink':
        return this.#runSink(this.entry, signal, ready);
    }
  }

  async #runNode(entry: NodeEntry, signal: AbortSignal, ready: () => void): Promise<void> {
    const node = await startNode(entry.options, { log: this.#ports.log });
    ready();
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await node.close();
  }

  async #runShip(entry: ShipEntry, signal: AbortSignal, ready: () => void): Promise<void> {
    const { settings, input, name } = entry;
    const { log, onProblem } = this.#ports;
    const { from, category, server } = settings;
    await this.#withState(`ship-${name}`, entry, signal, async (client, state) => {
      await rememberAbout(state, { from, category, server });
      const { batchBytesMax } = await this.#waitForNode(client, signal);
      const { plugin, options: pluginOptions } = input;
      const run = { plugin, pluginOptions, settings, client, once: false, batchBytesMax };
      const ship = await openShip({ ...run, state, log, ...giveUp(settings) }, onProblem);
      this.#watched = ship.watched;
      ready();
      await ship.run(signal);
    });
  }

  async #runSink(entry: SinkEntry, signal: AbortSignal, ready: () => void): Promise<void> {
    const { settings, output, name } = entry;
    const { log, onProblem } = this.#ports;
    await this.#withState(`sink-${name}`, entry, signal, async (client, state) => {
      await this.#waitForNode(client, signal);
      const { plugin, options: pluginOptions } = output;
      const run = { plugin, pluginOptions, settings, client, once: false };
      const sink = await openSink({ ...run, state, log, ...giveUp(settings) }, onProblem);
      this.#watched = sink.watched;
      ready();
      try {
        const standBy = (holder: string): void => {
          const fields = { kind: entry.kind, name, holder };
          log.info('Standing by: another one drains the category for the group.', fields);
        };
        await runAlone({ client, settings, state }, sink, standBy, signal, 'stopped');
      } finally {
        await sink.close();
      }
    });
  }

  async #withState(
    name: string,
    { settings, credentials }: ShipEntry | SinkEntry,
    signal: AbortSignal,
    use: (client: Client, state: StateJournal) => Promise<void>,
  ): Promise<void> {
    signal.throwIfAborted();
    const state = await openPipelineState(join(this.#ports.stateDirectory, name));
    const { server } = settings;
    const client = new Client({ server, ...(await readCredentials(credentials)) });
    try {
      await use(client, state.journal);
    } finally {
      client.close();
      await state.close();
    }
  }

  /** The node may be one of the same file, which is about to start. */
  #waitForNode(client: Client, signal: AbortSignal): ReturnType<Client['live']> {
    return retryOnNodes(client, () => client.live({ signal }), {
      clock: systemClock,
      random: systemRandom,
      decide: () => 'back off',
      onRetry: (error) => this.#ports.onProblem((error as Error).message),
      signal,
    });
  }
}

function giveUp({ retrySeconds }: { readonly retrySeconds?: number }): { giveUpAfterMs?: number } {
  return retrySeconds === undefined ? {} : { giveUpAfterMs: retrySeconds * 1_000 };
}
