import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@oclif/core';
import type { Credentials } from '../../../client/credentials.js';
import { PluginRegistry } from '../../../plugin-host/plugin-registry.js';
import { UserPlugins } from '../../../plugin-host/user-plugins.js';
import { errorMessage } from '../../../protocol/chukcha-error.js';
import { stateBaseDirectory } from '../pipeline-state.js';
import { askNodes } from './ask-nodes.js';
import { checkEtcd } from './check-etcd.js';
import { checkDirectory, checkStates } from './directory-checks.js';
import type { Finding } from './finding.js';
import { checkMachine, readMachineFacts } from './machine-checks.js';
import { type AskedNode, checkGroups, checkNodes } from './node-checks.js';
import { checkPlugins } from './plugin-checks.js';

export interface DoctorOptions {
  readonly config: Config;
  readonly servers: readonly string[];
  readonly credentials: Credentials;
  readonly etcdHosts: readonly string[];
  readonly dataDirectory: string | undefined;
  /** How long to wait between two looks at the groups. */
  readonly watchMs: number;
  readonly heldBytes: number;
}

/** Looks at everything and changes nothing; in the order in which things depend on each other. */
export async function runDoctor(options: DoctorOptions): Promise<Finding[]> {
  const { config, etcdHosts, dataDirectory } = options;
  const nodes = await askNodes(options);
  const engines = (config.pjson['engines'] as { readonly node?: string } | undefined)?.node ?? '';
  const facts = await readMachineFacts(/\d+\.\d+/.exec(engines)?.[0] ?? '0.0');
  const clusters = new Set(nodes.flatMap(({ status }) => (status ? [status.cluster] : [])));
  const states = stateBaseDirectory();
  return [
    ...checkMachine(facts),
    ...(dataDirectory === undefined ? [] : await checkDirectory('data', dataDirectory)),
    ...(await checkDirectory('states', states)),
    ...(await checkStates(states, clusters)),
    ...(await checkAllPlugins(config)),
    ...(await checkEtcd(etcdHosts)),
    ...checkNodes(nodes),
    ...(await watchGroups(nodes, options)),
  ];
}

async function checkAllPlugins(config: Config): Promise<Finding[]> {
  const registry = await PluginRegistry.find(config);
  try {
    return checkPlugins(registry, await new UserPlugins(config.dataDir).list());
  } catch (error) {
    const path = join(config.dataDir, 'package.json');
    const detail = errorMessage(error);
    const broken: Finding = { about: 'plugins', result: 'failed', detail, fix: `mend ${path}` };
    return [broken, ...checkPlugins(registry, [])];
  }
}

/** Looks a second time, when a group holds enough to be worth the wait. */
async function watchGroups(
  before: readonly AskedNode[],
  options: DoctorOptions,
): Promise<Finding[]> {
  const { watchMs, heldBytes } = options;
  const looked = (nodes: readonly AskedNode[]): Finding[] =>
    before.flatMap(({ status }) => {
      const after = nodes.find((node) => node.status?.node === status?.node)?.status;
      return status === undefined || after === undefined
        ? []
        : checkGroups(status, after, heldBytes);
    });
  if (looked(before).length === 0) return [];
  await sleep(watchMs);
  return looked(await askNodes(options));
}
