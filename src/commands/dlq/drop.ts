import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { allLettersFlag, categoryFlag, jsonFlag, reasonFlag, serverFlag } from '../shared/flags.js';
import { runUntilSignal } from '../shared/run-until-signal.js';

export default class DlqDrop extends BaseCommand {
  static override summary = 'Drop dead letters: what is dropped is gone.';

  static override description =
    'The letters that stay are written anew, and the chunks that they were in are acknowledged, which frees their space.';

  static override examples = [
    '<%= config.bin %> dlq drop --all',
    "<%= config.bin %> dlq drop --category web --reason 'No such column'",
  ];

  static override strict = false;

  static override flags = {
    category: categoryFlag,
    all: allLettersFlag,
    reason: reasonFlag,
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(DlqDrop);
    const { checkChoice, isChosen, openDrawer } = await import('../shared/dead-letters.js');
    const choice = { ids: argv.map(String), all: flags.all, reason: flags.reason };
    checkChoice(choice, 'drop');
    const { withClient } = await import('../shared/with-client.js');
    await runUntilSignal(async (signal) => {
      const totals = await withClient(flags, (client) =>
        openDrawer(client, flags.category).seeTo(
          async (letter) => (isChosen(letter, choice) ? { kind: 'done' } : { kind: 'kept' }),
          signal,
        ),
      );
      const { done, kept, strange } = totals;
      if (flags.json) this.log(JSON.stringify({ dropped: done, kept, strange }));
      else this.say(`Dropped ${done} letters of category ${flags.category}; ${kept} stay.`);
    });
  }
}
