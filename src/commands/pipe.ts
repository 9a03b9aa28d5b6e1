import { Flags } from '@oclif/core';
import { shipOptionsSchema, sinkOptionsSchema } from '../pipeline/pipeline-schemas.js';
import { BaseCommand } from './shared/base-command.js';
import { environmentName, giveUpOption, onceFlag, settingFlag } from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { logFlags } from './shared/log-flags.js';
import {
  monitorFlags,
  resolveMonitor,
  splitMonitorValues,
} from './shared/monitor/monitor-options.js';
import { runUntilSignal } from './shared/run-until-signal.js';
import { flagsFromSchema } from './shared/schema-flags.js';

/** The server is the embedded node. */
const { server: _server, ...pipelineFlags } = {
  ...flagsFromSchema(shipOptionsSchema),
  ...flagsFromSchema(sinkOptionsSchema),
};

export default class Pipe extends BaseCommand {
  static override summary = 'Run an input, a node and an output in one process.';

  static override description =
    'The messages pass through an embedded node, which keeps them until the output has taken them. With ' +
    '--once and without --data that is a temporary directory, so every run starts from the beginning; ' +
    'otherwise the run goes on where the last one with the same --data ended. SIGINT or SIGTERM stops the ' +
    'input, delivers what was read for up to 10 s, and ends with 0, or with 1 and a sentence when something is left.';

  static override examples = [
    '<%= config.bin %> pipe --from file:app.log --to stdout --once',
    "<%= config.bin %> pipe --from 'file:/var/log/*.log' --to stdout --data ./pipe",
  ];

  static override flags = {
    ...pipelineFlags,
    ...monitorFlags,
    data: Flags.string({
      description: 'directory for the embedded node and the state (default: see above)',
      env: environmentName('data'),
    }),
    once: onceFlag,
    'set-from': settingFlag(),
    'set-to': settingFlag(),
    ...logFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Pipe);
    const { once, data, 'set-from': setFrom, 'set-to': setTo, ...given } = flags;
    relaxHeapLimit();
    const { resolveShipSettings, resolveSinkSettings } = await import(
      '../pipeline/pipeline-settings.js'
    );
    const ship = resolveShipSettings(pickOptions(shipOptionsSchema, given));
    const sink = resolveSinkSettings(pickOptions(sinkOptionsSchema, given));
    const { category, from } = ship;
    const { group, to } = sink;
    const monitor = resolveMonitor(splitMonitorValues(given).monitor);
    const { chooseInput, chooseOutput, findPlugins } = await import('./shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const input = chooseInput(registry, from, setFrom);
    const output = chooseOutput(registry, to, setTo);
    const { withEmbeddedNode } = await import('./shared/embedded-node.js');
    const { runPipe } = await import('./shared/pipe-run.js');
    const { PipelineWatch } = await import('./shared/pipeline-watch.js');
    const watch = await PipelineWatch.open(monitor, this.logger);
    await runUntilSignal((signal) =>
      withEmbeddedNode(
        { directory: data, once, category, parts: [from, to, group], log: this.logger },
        ({ client, state }) =>
          runPipe(
            {
              input,
              output,
              ship,
              sink,
              client,
              once,
              ...giveUpOption(ship.retrySeconds, once),
              state,
              log: this.logger,
              watch,
            },
            signal,
          ).finally(() => watch.close()),
      ),
    ).finally(() => watch.close());
  }
}

/** The options that the schema has. */
function pickOptions(
  { properties }: { readonly properties: Readonly<Record<string, unknown>> },
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name in properties));
}
