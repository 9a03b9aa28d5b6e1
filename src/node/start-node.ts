import { resolve } from 'node:path';
import { type Clock, systemClock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { type Random, systemRandom } from '../common/random.js';
import { createRateLimitedLogger } from '../common/rate-limited-logger.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { createNodeNetwork } from '../replication/node-network.js';
import { ByteBudget } from '../server/byte-budget.js';
import { GroupLeases } from '../server/group-leases.js';
import { Listener } from '../server/listener.js';
import { PipelineBoard } from '../server/pipeline-board.js';
import { RequestCounts } from '../server/request-counts.js';
import { SlabPool } from '../server/slab-pool.js';
import { DirectoryLock } from '../storage/directory-lock.js';
import type { Disk } from '../storage/disk.js';
import { nodeDisk } from '../storage/node-disk.js';
import { OpenFiles } from '../storage/open-files.js';
import { Store } from '../storage/store.js';
import { ClusterNode, type ClusterNodePorts } from './cluster-node.js';
import { type Entrance, enter, type OpenCoordinator } from './entrance.js';
import { type EtcdAccess, openEtcdAccess } from './etcd-access.js';
import { measuredDisk } from './measured-disk.js';
import {
  createNodeMetrics,
  createSyncHistogram,
  createWriteDurations,
  reasonsAgainst,
} from './node-metrics.js';
import type { NodeOptions } from './node-options.js';
import { createNodeStatus } from './node-status.js';
import { openSecurity } from './security.js';

export interface NodePorts {
  readonly log: Logger;
  /** @default the system's */
  readonly disk?: Disk;
  readonly clock?: Clock;
  readonly random?: Random;
  /** @default that of etcd */
  readonly openCoordinator?: OpenCoordinator;
}

/** A node that takes requests. */
export interface RunningNode {
  readonly name: string;
  /** The address that it listens on, with the real port. */
  readonly url: string;
  /** Takes the files of tokens and certificates in again; the log says what is wrong with them. */
  reload(): Promise<void>;
  /**
   * Refuses writes, makes durable and seals what was accepted, lets the requests under way finish, and
   * frees the directory; idempotent.
   */
  close(): Promise<void>;
}

/**
 * Starts a whole node from its parts. Throws `directory_in_use`, `directory_invalid` or `listen_failed`,
 * with nothing left running.
 */
export async function startNode(options: NodeOptions, ports: NodePorts): Promise<RunningNode> {
  const syncSeconds = createSyncHistogram();
  const writeSeconds = createWriteDurations();
  const measured = measuredDisk(nodeDisk, {
    synced: (seconds) => syncSeconds.observe(seconds),
    written: (seconds) => writeSeconds.observe(seconds * 1e6),
  });
  const { log, disk = measured, clock = systemClock, random = systemRandom } = ports;
  const dataDirectory = resolve(options.dataDirectory);
  await makeDataDirectory(disk, dataDirectory);
  const lock = await DirectoryLock.take(
    dataDirectory,
    `node ${options.name ?? 'without a --name'}`,
  );
  const security = await openSecurity(options.security, { clock, log }).catch(
    async (error: unknown) => {
      await lock.release();
      throw error;
    },
  );
  const etcdAccess = await openEtcdAccess(options.cluster?.etcdAccess ?? {}, { clock, log }).catch(
    async (error: unknown) => {
      await security.close();
      await lock.release();
      throw error;
    },
  );
  try {
    const { openCoordinator = etcdCoordinator(etcdAccess, { clock, random, log }) } = ports;
    const entrance = await enter(options, dataDirectory, { disk, random, openCoordinator });
    const { identity, membership } = entrance;
    const store = await Store.open(
      { ...options, dataDirectory, nodeName: identity.nodeName, membership },
      { disk, clock, random, log },
    ).catch(async (error: unknown) => {
      await entrance.table?.coordinator.close();
      throw error;
    });
    const stopping = new AbortController();
    const files = new OpenFiles({ disk, clock });
    const budget = new ByteBudget(options.inFlightBytesMax);
    const cluster = createClusterNode(options, entrance, {
      store,
      files,
      clock,
      random,
      log,
      network: createNodeNetwork({
        authorization: security.peerAuthorization,
        tls: security.tls,
      }),
    });
    const pipelines = new PipelineBoard(clock);
    const status = createNodeStatus({
      identity,
      store,
      clock,
      budget,
      pipelines,
      stopping: stopping.signal,
      cluster: cluster && (() => cluster.status()),
      isDraining: () => cluster?.isDraining ?? false,
    });
    const counts = new RequestCounts();
    const metrics = createNodeMetrics(status, {
      counts,
      store,
      dataDirectory,
      syncSeconds,
      writeSeconds,
      replication: cluster && (() => cluster.replicationFigures()),
    });
    const serverPorts = {
      store,
      leases: new GroupLeases(clock),
      pipelines,
      clock,
      log: createRateLimitedLogger(log, clock),
      slabs: new SlabPool(),
      budget,
      files,
      nodeName: identity.nodeName,
      clusterId: identity.clusterId,
      batchBytesMax: options.batchBytesMax,
      access: security.access,
      clusterSecret: security.clusterSecret,
      cluster,
      status,
      readiness: async () => reasonsAgainst(await status()),
      counts,
      metrics,
      stopping: stopping.signal,
    };
    const tls = security.tls?.();
    const address = { host: options.host, port: options.port, ...(tls && { tls }) };
    const listener = await Listener.open(serverPorts, address).catch(async (error: unknown) => {
      await cluster?.close();
      await store.close();
      throw error;
    });
    security.onTlsChanged((material) => listener.takeCertificate(material));
    await cluster?.start(listener.url).catch(async (error: unknown) => {
      await cluster.close();
      await store.close();
      await listener.close();
      throw error;
    });
    log.info('Node is ready.', { name: identity.nodeName, url: listener.url, data: dataDirectory });
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      stopping.abort();
      try {
        await cluster?.drain();
        await cluster?.close();
        await store.close();
      } finally {
        await listener.close();
        await files.close();
        metrics.close();
        await security.close();
        await etcdAccess.close();
        await lock.release();
      }
      log.info('Node has stopped.', { name: identity.nodeName });
    };
    return {
      name: identity.nodeName,
      url: listener.url,
      reload: async () => {
        await security.reload();
        await etcdAccess.reload();
      },
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await security.close();
    await etcdAccess.close();
    await lock.release();
    throw error;
  }
}

/** Loaded only by members of a cluster: it takes a third of a second. */
function etcdCoordinator(
  access: EtcdAccess,
  ports: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): OpenCoordinator {
  return async ({ etcdHosts, name }, snapshot) => {
    const { EtcdCoordinator } = await import('../coordination/etcd-coordinator.js');
    const unprotected = etcdHosts.filter((host) =>
      /^http:\/\/(?!127\.|localhost|\[::1\])/.test(host),
    );
    if (access.current().user !== undefined && unprotected.length > 0) {
      ports.log.warn('The password for etcd passes the network readable: use https addresses.', {
        etcd: unprotected.join(','),
      });
    }
    return EtcdCoordinator.open(
      { hosts: etcdHosts, cluster: name, credentials: access.current },
      { ...ports, snapshot },
    );
  };
}

function createClusterNode(
  { cluster }: NodeOptions,
  { identity, table, place }: Entrance,
  ports: Omit<ClusterNodePorts, 'identity' | 'table' | 'place'>,
): ClusterNode | undefined {
  if (cluster === undefined || table === undefined) return undefined;
  return new ClusterNode(cluster, { ...ports, identity, table, place });
}

async function makeDataDirectory(disk: Disk, path: string): Promise<void> {
  try {
    await disk.makeDirectory(path);
  } catch (cause) {
    throw new ChukchaError(
      'directory_invalid',
      `Data directory ${path} cannot be made (${errorMessage(cause)}): choose one that this user may write to with --data.`,
      { cause },
    );
  }
}
