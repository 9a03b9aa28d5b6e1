import { resolve } from 'node:path';
import { Args } from '@oclif/core';
import { formatBytes } from '../common/quantity.js';
import { BaseCommand } from './shared/base-command.js';
import { jsonFlag } from './shared/flags.js';

export default class Verify extends BaseCommand {
  static override summary = 'Compare all messages of a data directory with their checksums.';

  static override description =
    'No node may run there, and nothing is changed. For everything that is not as it should be there is a sentence that says what it is, and what ' +
    'the next start of the node, or you, can do. Ends with 0 when no message is damaged, else with 1.';

  static override examples = [
    '<%= config.bin %> verify ./data',
    '<%= config.bin %> verify ./data --json',
  ];

  static override args = {
    directory: Args.string({ description: 'data directory of a node', required: true }),
  };

  static override flags = { json: jsonFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Verify);
    const { verifyDirectory } = await import('../storage/verify-directory.js');
    const { nodeDisk } = await import('../storage/node-disk.js');
    const { hasSystemCode } = await import('../storage/disk.js');
    const { DirectoryLock } = await import('../storage/directory-lock.js');
    const { requireDataDirectory } = await import('../node/identity.js');
    const directory = resolve(args.directory);
    await requireDataDirectory(nodeDisk, directory);
    const lock = await DirectoryLock.take(directory, 'chukcha verify').catch((error: Error) => {
      // Where nobody can write, there is nobody to be kept out: a disk that has failed, or a snapshot.
      if (!hasSystemCode(error.cause, 'EROFS')) throw error;
      return undefined;
    });
    const counts = { intact: 0, note: 0, damage: 0, checkedBytes: 0 };
    try {
      for await (const finding of verifyDirectory(nodeDisk, directory)) {
        counts[finding.kind] += 1;
        counts.checkedBytes += finding.checkedBytes;
        if (flags.json) this.log(JSON.stringify(finding));
        else if (finding.kind !== 'intact') {
          this.log(
            `${finding.kind}: ${finding.category}/${plain(finding.name)} ${finding.sentence}`,
          );
        }
      }
    } finally {
      await lock?.release();
    }
    this.say(
      `${counts.intact} intact, ${counts.note} with a note, ${counts.damage} damaged; ${formatBytes(counts.checkedBytes)} checked.`,
    );
    if (counts.damage > 0) process.exitCode = 1;
  }
}

/** The name of a file can be anything; on a terminal it must not be more than a name. */
function plain(name: string): string {
  return /^[ -~]+$/.test(name) ? name : JSON.stringify(name);
}
