import { Flags } from '@oclif/core';
import {
  categoryNameDefault,
  groupNameDefault,
  serverUrlDefault,
} from '../../protocol/http-api.js';

/** The environment variable that stands for a flag: `--max-batch` is `CHUKCHA_MAX_BATCH`. */
export function environmentName(flagName: string): string {
  return `CHUKCHA_${flagName.toUpperCase().replaceAll('-', '_')}`;
}

export const categoryFlag = Flags.string({
  description: 'category of the messages',
  default: categoryNameDefault,
  env: environmentName('category'),
});

export const serverFlag = Flags.string({
  description:
    'address of a node, or of several nodes of a cluster with commas between: when one fails, the next is asked',
  default: serverUrlDefault,
  env: environmentName('server'),
});

export const groupFlag = Flags.string({
  description: 'consumer group; each group gets every message',
  default: groupNameDefault,
  env: environmentName('group'),
});

export const stateFlag = Flags.string({
  description:
    'directory for checkpoints and positions (default: one for this pipeline in the state directory of the user)',
  env: environmentName('state'),
});

export const positionsStateFlag = Flags.string({
  description: 'state directory of the shipper (default: all in the state directory of the user)',
  env: environmentName('state'),
});

export const allLettersFlag = Flags.boolean({ description: 'all letters of the category' });

export const reasonFlag = Flags.string({
  description: 'letters whose reason has this text in it',
});

export const configFlag = Flags.string({
  description: 'YAML file with options, by the names of their flags',
  env: environmentName('config'),
});

export const onceFlag = Flags.boolean({
  description: 'end with 0 when everything that is there now is done',
});

export const retryForFlag = Flags.integer({
  description:
    'seconds to go on trying while the other side is away (default: at the start none, later for ever; 60 with --once)',
  env: environmentName('retry-for'),
  min: 0,
});

/** A new one for each use: the parser writes the name of the flag into it. */
export const settingFlag = () =>
  Flags.string({
    description: 'option of the plugin, as NAME=VALUE; may be given several times',
    multiple: true,
    default: [],
  });

export const syncFlag = Flags.boolean({
  description: 'have every write on disk (fdatasync) before it counts as accepted',
  env: environmentName('sync-each-write'),
});

export const minSyncReplicasFlag = Flags.integer({
  description:
    'have every write on so many other nodes before it counts as accepted (default: none)',
  env: environmentName('min-sync-replicas'),
  min: 0,
});

/** The copies that the flag asks for, in the form of an option that may be left out. */
export function replicasOption(flags: { readonly 'min-sync-replicas': number | undefined }): {
  minSyncReplicas?: number;
} {
  const minSyncReplicas = flags['min-sync-replicas'];
  return minSyncReplicas === undefined ? {} : { minSyncReplicas };
}

export const jsonFlag = Flags.boolean({ description: 'print JSON' });

/** How long `--once` goes on trying when nothing else was asked for: longer than a node takes to start again. */
const onceRetrySeconds = 60;

/** The limit for trying again that was asked for, in the form of an option that may be left out. */
export function giveUpOption(
  retrySeconds: number | undefined,
  once: boolean,
): { giveUpAfterMs?: number } {
  const seconds = retrySeconds ?? (once ? onceRetrySeconds : undefined);
  return seconds === undefined ? {} : { giveUpAfterMs: seconds * 1_000 };
}
