import { createHash } from 'node:crypto';
import { Flags } from '@oclif/core';
import type { Client } from '../../client/client.js';
import type { DeadLetter } from '../../pipeline/dead-letter.js';
import type { LetterFate } from '../../pipeline/dead-letter-drawer.js';
import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import {
  allLettersFlag,
  categoryFlag,
  jsonFlag,
  reasonFlag,
  serverFlag,
  settingFlag,
} from '../shared/flags.js';
import { logFlags } from '../shared/log-flags.js';
import { runUntilSignal } from '../shared/run-until-signal.js';

export default class DlqReplay extends BaseCommand {
  static override summary = 'Send dead letters again, after what was wrong is mended.';

  static override description =
    'With --to, each message goes straight to that output, under the place that it had in its category: a target that ' +
    'knows it has it once, and no other group sees it again. What is refused again stays, with the new reason. ' +
    'Without --to, the messages are written into the category again, for all of its groups.';

  static override examples = [
    '<%= config.bin %> dlq replay --all --to clickhouse://localhost/default/logs',
    "<%= config.bin %> dlq replay --category web --reason 'No such column'",
  ];

  static override strict = false;

  static override flags = {
    category: categoryFlag,
    all: allLettersFlag,
    reason: reasonFlag,
    to: Flags.string({ description: 'output to send them to, as PLUGIN or PLUGIN:ADDRESS' }),
    set: settingFlag(),
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
    ...logFlags,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(DlqReplay);
    const { category } = flags;
    const { checkChoice, isChosen, openDrawer } = await import('../shared/dead-letters.js');
    const choice = { ids: argv.map(String), all: flags.all, reason: flags.reason };
    checkChoice(choice, 'replay');
    const { withClient } = await import('../shared/with-client.js');
    await runUntilSignal(async (signal) => {
      const { done, kept, strange } = await withClient(flags, async (client) => {
        const target = await this.#openTarget(client, signal);
        try {
          return await openDrawer(client, category).seeTo(
            async (letter) => (isChosen(letter, choice) ? target.take(letter) : { kind: 'kept' }),
            signal,
          );
        } finally {
          await target.close();
        }
      });
      if (flags.json) this.log(JSON.stringify({ replayed: done, kept, strange }));
      else this.say(`Replayed ${done} letters of category ${category}; ${kept} stay.`);
    });
  }

  async #openTarget(client: Client, signal: AbortSignal): Promise<LetterTarget> {
    const { flags } = await this.parse(DlqReplay);
    if (flags.to === undefined) return categoryTarget(client);
    const { chooseOutput, findPlugins } = await import('../shared/plugins.js');
    const registry = await findPlugins(this.config, (sentence) => this.say(sentence));
    const { plugin, options } = chooseOutput(registry, flags.to, flags.set);
    const { openOutput } = await import('../shared/sink-run.js');
    const { category } = flags;
    const output = await openOutput({
      plugin,
      pluginOptions: options,
      category,
      client,
      log: this.logger,
    });
    const { LetterDelivery } = await import('../../pipeline/letter-delivery.js');
    const delivery = new LetterDelivery(output, signal);
    return { take: (letter) => delivery.deliver(letter), close: () => output.close() };
  }
}

interface LetterTarget {
  take(letter: DeadLetter): Promise<LetterFate>;
  close(): Promise<void>;
}

/** Back into the category: a letter that is replayed twice after a kill is stored once. */
function categoryTarget(client: Client): LetterTarget {
  return {
    take: async ({ id, category, message }) => {
      const producer = `dr-${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
      await client.write(category, [message], { stamp: { producer, sequence: 0 } });
      return { kind: 'done' };
    },
    close: async () => {},
  };
}
