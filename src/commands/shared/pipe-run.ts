import type { InputDescriptor, OutputDescriptor } from '@chukcha/plugin-api';
import type { Client } from '../../client/client.js';
import type { Logger } from '../../common/logger.js';
import type { PipelineState } from './pipeline-state.js';
import type { ChosenPlugin } from './plugins.js';
import { runShip } from './ship-run.js';
import { createSink, openOutput } from './sink-run.js';

export interface PipeRun {
  readonly input: ChosenPlugin<InputDescriptor>;
  readonly output: ChosenPlugin<OutputDescriptor>;
  readonly client: Client;
  readonly category: string;
  readonly group: string;
  readonly once: boolean;
  readonly sync: boolean;
  readonly giveUpAfterMs?: number;
  readonly state: PipelineState;
  readonly log: Logger;
}

/**
 * Ships and sinks at the same time, so that acknowledged chunks free their space on the way. When the
 * input is at its end, or the signal came, the sink goes on until it has delivered what was shipped.
 */
export async function runPipe(run: PipeRun, signal: AbortSignal): Promise<void> {
  const { client, category, group, log, state } = run;
  const giveUp = run.giveUpAfterMs === undefined ? {} : { giveUpAfterMs: run.giveUpAfterMs };
  const output = await openOutput(run.output.plugin, run.output.options, category, log);
  const { sink, progress } = createSink({
    output,
    client,
    category,
    group,
    once: run.once,
    ...giveUp,
    state: state.journal,
  });
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
        plugin: run.input.plugin,
        pluginOptions: run.input.options,
        client,
        category,
        once: run.once,
        sync: run.sync,
        ...giveUp,
        state: state.journal,
        log,
      },
      stopShip.signal,
    ).finally(() => stopSink.abort());
    // Both are waited for before either's failure is thrown: what is closed below is in use until then.
    await Promise.allSettled([sinking, shipping]);
    const sinkEnd = await sinking;
    await shipping;
    if (sinkEnd !== 'closed') await sink.run(new AbortController().signal, 'end');
  } finally {
    signal.removeEventListener('abort', stop);
    progress.finish();
    await output.close();
  }
}
