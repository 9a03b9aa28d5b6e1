import type { CheckStep } from '@chukcha/plugin-api';
import { Args } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { jsonFlag } from './shared/flags.js';
import { formatStep } from './shared/format-step.js';
import { logFlags } from './shared/log-flags.js';
import type { RunEntry, RunFile } from './shared/run-file.js';
import { runUntilSignal } from './shared/run-until-signal.js';

/** A step, and what it is about. */
interface EntryStep extends CheckStep {
  readonly kind: RunEntry['kind'];
  readonly entry: string;
}

export default class Check extends BaseCommand {
  static override summary = 'Look whether a file of pipelines would work: nothing is sent.';

  static override description =
    'The form of the file, the options of every plugin, the sources of ships, and the targets of sinks, step by step, with ' +
    'what mends each. Ends with 0 when nothing has failed, else with 1; with 2 for a file with mistakes.';

  static override examples = ['<%= config.bin %> check pipelines.yaml'];

  static override args = {
    file: Args.string({ description: 'YAML file of nodes, ships and sinks', required: true }),
  };

  static override flags = { json: jsonFlag, ...logFlags };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Check);
    const { findPlugins } = await import('./shared/plugins.js');
    const { readRunFile } = await import('./shared/run-file.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const file = await readRunFile(args.file, registry);
    const found: EntryStep[] = [];
    await runUntilSignal(async () => {
      for await (const step of this.#check(file)) {
        found.push(step);
        const about = `${step.kind} ${step.entry}, ${step.name}`;
        if (!flags.json) for (const line of formatStep({ ...step, about })) this.log(line);
      }
    });
    if (flags.json) this.log(JSON.stringify(found));
    if (found.some(({ result }) => result === 'failed')) process.exitCode = 1;
  }

  async *#check({ entries }: RunFile): AsyncGenerator<EntryStep> {
    const { checkEntry } = await import('./shared/entry-check.js');
    for (const entry of entries) {
      for await (const step of checkEntry(entry, this.logger)) {
        yield { kind: entry.kind, entry: entry.name, ...step };
      }
    }
  }
}
