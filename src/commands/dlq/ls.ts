import { BaseCommand } from '../shared/base-command.js';
import { credentialFlags } from '../shared/credential-flags.js';
import { categoryFlag, jsonFlag, serverFlag } from '../shared/flags.js';
import { formatTable } from '../shared/format-table.js';
import { runUntilSignal } from '../shared/run-until-signal.js';

/** Letters with one reason of one target. */
interface LetterGroup {
  readonly target: string;
  readonly group: string;
  readonly reason: string;
  count: number;
  readonly first: string;
  last: string;
  /** One of them, to be shown. */
  readonly id: string;
}

/** What a table shows of a reason. */
const reasonLengthMax = 60;

export default class DlqLs extends BaseCommand {
  static override summary =
    'List the dead letters of a category: what a sink could not deliver, by reason.';

  static override description =
    'A message that a target will never take, such as a row that does not fit its table, becomes a dead letter in ' +
    'the category <category>_dlq, with the reason and the message as it was. It stays there until it is replayed or dropped.';

  static override examples = [
    '<%= config.bin %> dlq ls',
    '<%= config.bin %> dlq ls --category web --json',
  ];

  static override flags = {
    category: categoryFlag,
    server: serverFlag,
    ...credentialFlags,
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(DlqLs);
    const { openDrawer } = await import('../shared/dead-letters.js');
    const { withClient } = await import('../shared/with-client.js');
    await runUntilSignal(async (signal) => {
      const { groups, strange } = await withClient(flags, async (client) => {
        const found = new Map<string, LetterGroup>();
        let strangeCount = 0;
        for await (const letter of openDrawer(client, flags.category).letters(signal)) {
          if (letter === undefined) {
            strangeCount += 1;
            continue;
          }
          const { target, group, reason, time, id } = letter;
          const key = JSON.stringify([target, group, reason]);
          const known = found.get(key);
          if (known === undefined) {
            found.set(key, { target, group, reason, count: 1, first: time, last: time, id });
          } else {
            known.count += 1;
            if (time > known.last) known.last = time;
          }
        }
        return { groups: [...found.values()], strange: strangeCount };
      });
      if (strange > 0) this.say(`${strange} lines of ${flags.category}_dlq are no dead letters.`);
      if (groups.length === 0) this.say(`Category ${flags.category} has no dead letters.`);
      this.printData(groups, describe(groups), flags.json);
    });
  }
}

function describe(groups: readonly LetterGroup[]): string[] {
  return formatTable(
    [
      { title: 'LETTERS', value: ({ count }) => String(count), align: 'right' },
      { title: 'TARGET', value: ({ target }) => target },
      { title: 'GROUP', value: ({ group }) => group },
      { title: 'LAST', value: ({ last }) => last },
      { title: 'REASON', value: ({ reason }) => shorten(reason) },
    ],
    groups,
  );
}

function shorten(reason: string): string {
  const line = reason.replaceAll(/\s+/g, ' ');
  return line.length > reasonLengthMax ? `${line.slice(0, reasonLengthMax)}...` : line;
}
