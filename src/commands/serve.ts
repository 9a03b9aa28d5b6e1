import { nodeOptionsSchema } from '../node/node-options-schema.js';
import type { RunningNode } from '../node/start-node.js';
import { BaseCommand } from './shared/base-command.js';
import { configFlag } from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { logFlags } from './shared/log-flags.js';
import { runUntilSignal } from './shared/run-until-signal.js';
import { flagsFromSchema } from './shared/schema-flags.js';

export default class Serve extends BaseCommand {
  static override summary =
    'Run a node: take messages over HTTP, keep them, and serve them to readers.';

  static override description =
    'Everything is kept below --data, one process at a time. SIGHUP takes certificates and tokens in again. SIGINT or SIGTERM stops the node: it refuses ' +
    'writes, makes durable what it accepted, lets requests under way finish, and ends with 0. Every option can ' +
    'also be a line of the file that --config names, or an environment variable; flags go before variables, and ' +
    'variables before the file.';

  static override examples = [
    '<%= config.bin %> serve',
    '<%= config.bin %> serve --data ./data --listen 127.0.0.1:8080 --name node1',
    '<%= config.bin %> serve --config node.yaml',
    "curl --data-binary 'hello\n' 'http://127.0.0.1:8080/write?category=logs'",
  ];

  static override flags = {
    ...flagsFromSchema(nodeOptionsSchema),
    config: configFlag,
    ...logFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve);
    const { config, ...given } = flags;
    relaxHeapLimit();
    const { withConfigFile } = await import('./shared/config-file.js');
    const { resolveNodeOptions } = await import('../node/node-options.js');
    const options = resolveNodeOptions(
      await this.takeLogOptions(await withConfigFile(config, given)),
    );
    const { startNode } = await import('../node/start-node.js');
    await runUntilSignal(async (signal) => {
      let node: RunningNode | undefined;
      let isReloadDue = false;
      // From now on: by itself it would end a node that is about to start, which has read its files perhaps.
      const reload = (): void => {
        if (node === undefined) isReloadDue = true;
        else void node.reload();
      };
      process.on('SIGHUP', reload);
      node = await startNode(options, { log: this.logger });
      if (isReloadDue) reload();
      if (!signal.aborted)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      process.off('SIGHUP', reload);
      await node.close();
    });
  }
}
