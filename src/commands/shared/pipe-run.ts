import type { InputDescriptor, OutputDescriptor } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import { systemClock } from '../../common/clock.js';
import { DrainLimit } from '../../common/drain-limit.js';
import type { ShipSettings, SinkSettings } from '../../pipeline/pipeline-settings.js';
import type { Sink } from '../../pipeline/sink.js';
import type { SinkEnd } from '../../pipeline/sink-options.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import type { CommandLog } from './command-log.js';
import type { PipelineState } from './pipeline-state.js';
import type { PipelineWatch } from './pipeline-watch.js';
import type { ChosenPlugin } from './plugins.js';
import { runShip } from './ship-run.js';
import { openShownSink } from './sink-run.js';

export interface PipeRun {
  readonly input: ChosenPlugin<InputDescriptor>;
  readonly output: ChosenPlugin<OutputDescriptor>;
  readonly ship: ShipSettings;
  readonly sink: SinkSettings;
  readonly client: Client;
  readonly once: boolean;
  readonly giveUpAfterMs?: number;
  readonly state: PipelineState;
  readonly log: CommandLog;
  /** Shows how both sides stand. */
  readonly watch: PipelineWatch;
}

/** How long the output may take for what was shipped after the pipe was told to stop. */
const drainMs = 10_000;

/**
 * Ships and sinks at the same time, so that acknowledged chunks free their space on the way. When the
 * input is at its end or has failed, or the signal came, the sink goes on until it has delivered what was
 * shipped, after the signal for ten seconds at most.
 *
 * Throws what the output failed with, else what the input failed with, else `not_accepted` when the time
 * was too short.
 */
export async function runPipe(run: PipeRun, signal: AbortSignal): Promise<void> {
  const { client, once, log } = run;
  const state = run.state.journal;
  const giveUp = run.giveUpAfterMs === undefined ? {} : { giveUpAfterMs: run.giveUpAfterMs };
  const { batchBytesMax } = await client.live({ signal });
  const common = { client, once, ...giveUp, state, log };
  const { sink, watched, progress, close } = await openShownSink({
    ...common,
    plugin: run.output.plugin,
    pluginOptions: run.output.options,
    settings: run.sink,
  });
  const { server } = client;
  run.watch.add({ kind: 'sink', name: 'pipe', server, watched });
  const drain = new DrainLimit(signal, drainMs, systemClock);
  const stopShip = new AbortController();
  const stopSink = new AbortController();
  const stop = (): void => stopShip.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    // A sink that ends first has failed, or its target wants no more; either way nothing more is to be shipped.
    const sinking = sink.run(stopSink.signal, 'stopped').finally(() => stopShip.abort());
    const shipping = runShip(
      {
        ...common,
        plugin: run.input.plugin,
        pluginOptions: run.input.options,
        settings: run.ship,
        batchBytesMax,
      },
      stopShip.signal,
      (shown) => run.watch.add({ kind: 'ship', name: 'pipe', server, watched: shown }),
    );
    const [shipped] = await Promise.allSettled([shipping]);
    const sunk = await sinkTheRest(sink, sinking, stopSink, drain.signal);
    if (shipped.status === 'rejected') throw shipped.reason;
    if (sunk === 'stopped') throw notDelivered();
  } finally {
    drain.release();
    signal.removeEventListener('abort', stop);
    progress.finish();
    await close();
  }
}

/** Ends the run that follows, which could wait for ever, and starts one that ends with the last message. */
async function sinkTheRest(
  sink: Sink,
  following: Promise<SinkEnd>,
  stopFollowing: AbortController,
  signal: AbortSignal,
): Promise<SinkEnd> {
  stopFollowing.abort();
  const end = await following;
  return end === 'closed' ? end : sink.run(signal, 'end');
}

function notDelivered(): ChukchaError {
  return new ChukchaError(
    'not_accepted',
    `The output did not take everything within ${drainMs} ms after the stop: without --once or with --data, the next run goes on there.`,
  );
}
