import type { WriteKind } from './batch-ledger.js';

/** Every way to write, with stamps and without. */
export function writeKinds(minSyncReplicas: number): WriteKind[] {
  const promises = [
    { name: 'default', replicaCount: 0, sync: false },
    { name: `min_sync_replicas=${minSyncReplicas}`, replicaCount: minSyncReplicas, sync: false },
    { name: 'sync_each_write', replicaCount: 0, sync: true },
    {
      name: `min_sync_replicas=${minSyncReplicas} and sync_each_write`,
      replicaCount: minSyncReplicas,
      sync: true,
    },
  ];
  return promises.flatMap((promise) =>
    [true, false].map((isStamped) => ({
      ...promise,
      isStamped,
      name: `${promise.name}, ${isStamped ? 'stamped' : 'not stamped'}`,
    })),
  );
}
