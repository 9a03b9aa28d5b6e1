import { Flags } from '@oclif/core';
import { parseQuantity, type QuantityKind, quantityForms } from '../../common/quantity.js';
import type { SinkOptions } from '../../pipeline/sink-options.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
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

export const settingFlag = Flags.string({
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

/** A flag whose value is a number with a unit, in bytes or milliseconds. */
function quantityFlag(kind: QuantityKind, name: string, description: string) {
  return Flags.custom<number>({
    description,
    env: environmentName(name),
    parse: async (text) => {
      const value = parseQuantity(kind, text);
      if (value !== undefined) return value;
      throw new ChukchaError(
        'invalid_option',
        `--${name} ${JSON.stringify(text)} is not valid: expected ${quantityForms[kind]}.`,
      );
    },
  })();
}

/** How a sink cuts what it delivers, and what it does with what cannot be delivered. */
export const deliveryFlags = {
  'batch-bytes': quantityFlag(
    'bytes',
    'batch-bytes',
    'most bytes of one delivery (default: as the output advises)',
  ),
  'batch-messages': Flags.integer({
    description: 'most messages of one delivery (default: as the output advises)',
    env: environmentName('batch-messages'),
    min: 1,
  }),
  'batch-age': quantityFlag(
    'duration',
    'batch-age',
    'how long messages wait for company (default: as the output advises)',
  ),
  'in-flight': Flags.integer({
    description: 'how many deliveries may be under way at a time (default: as the output advises)',
    env: environmentName('in-flight'),
    min: 1,
    max: 64,
  }),
  'bad-messages': Flags.string({
    description: 'what becomes of messages that the target will never take',
    options: ['dead-letter', 'stop'],
    env: environmentName('bad-messages'),
  }),
};

/** What the flags ask for, in the form of a sink's options. */
export function deliveryOptions(flags: {
  readonly 'batch-bytes': number | undefined;
  readonly 'batch-messages': number | undefined;
  readonly 'batch-age': number | undefined;
  readonly 'in-flight': number | undefined;
  readonly 'bad-messages': string | undefined;
}): Pick<SinkOptions, 'batching' | 'badMessages'> {
  const batching = {
    ...(flags['batch-bytes'] === undefined ? {} : { bytesMax: flags['batch-bytes'] }),
    ...(flags['batch-messages'] === undefined ? {} : { messagesMax: flags['batch-messages'] }),
    ...(flags['batch-age'] === undefined ? {} : { lingerMs: flags['batch-age'] }),
    ...(flags['in-flight'] === undefined ? {} : { inFlightMax: flags['in-flight'] }),
  };
  const bad = flags['bad-messages'];
  if (bad === undefined) return { batching };
  return { batching, badMessages: bad === 'stop' ? 'stop' : 'dead_letter' };
}

export const jsonFlag = Flags.boolean({ description: 'print JSON' });

/** How long `--once` goes on trying when nothing else was asked for: longer than a node takes to start again. */
const onceRetrySeconds = 60;

/** The retry limit that the flags ask for, in the form of an option that may be left out. */
export function giveUpOption(flags: {
  readonly 'retry-for': number | undefined;
  readonly once: boolean;
}): {
  giveUpAfterMs?: number;
} {
  const seconds = flags['retry-for'] ?? (flags.once ? onceRetrySeconds : undefined);
  return seconds === undefined ? {} : { giveUpAfterMs: seconds * 1_000 };
}
