import { Flags } from '@oclif/core';
import type { DeadLetter } from '../../pipeline/dead-letter.js';
import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { categoryFlag, jsonFlag, serverFlag } from '../shared/flags.js';
import { runUntilSignal } from '../shared/run-until-signal.js';

const limitDefault = 10;

export default class DlqShow extends BaseCommand {
  static override summary = 'Show dead letters with their reasons and messages.';

  static override description =
    'With --raw, only the messages are printed, as they were: for a pipe, or a file to look at.';

  static override examples = [
    '<%= config.bin %> dlq show --limit 3',
    "<%= config.bin %> dlq show --category web --reason 'No such column' --raw > bad.log",
  ];

  static override strict = false;

  static override flags = {
    category: categoryFlag,
    reason: Flags.string({ description: 'letters whose reason has this text in it' }),
    limit: Flags.integer({
      description: 'how many to show at most',
      default: limitDefault,
      min: 1,
    }),
    raw: Flags.boolean({ description: 'print the messages only', exclusive: ['json'] }),
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(DlqShow);
    const { isChosen, openDrawer } = await import('../shared/dead-letters.js');
    const { withClient } = await import('../shared/with-client.js');
    const ids = argv.map(String);
    const choice = { ids, all: true, reason: flags.reason };
    await runUntilSignal((signal) =>
      withClient(flags, async (client) => {
        let left = flags.limit;
        for await (const letter of openDrawer(client, flags.category).letters(signal)) {
          if (letter === undefined || !isChosen(letter, choice)) continue;
          if (left === 0) {
            this.say(
              `There are more: --limit ${flags.limit * 10} shows up to ${flags.limit * 10}.`,
            );
            return;
          }
          left -= 1;
          if (flags.raw) process.stdout.write(letter.message);
          else if (flags.json) this.log(JSON.stringify(toData(letter)));
          else for (const line of describe(letter)) this.log(line);
        }
        if (left === flags.limit) this.say('No letter was found that is meant.');
      }),
    );
  }
}

function toData({ message, ...letter }: DeadLetter): Record<string, unknown> {
  const body = message.subarray(0, message.length - 1);
  return { ...letter, message: body.toString(), message_base64: body.toString('base64') };
}

function describe(letter: DeadLetter): string[] {
  const { id, time, target, group, category, chunk, offset, reason, message } = letter;
  return [
    `${id}  ${time}  ${target}, group ${group}`,
    `  from    ${category} ${chunk} at ${offset}`,
    `  reason  ${printable(reason)}`,
    `  message ${printable(message.toString('utf8', 0, message.length - 1))}`,
    '',
  ];
}

/** Control characters of a message must not reach a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}
