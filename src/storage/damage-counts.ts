/** What a store has found damaged, moved aside and saved since its start; for metrics, the log has the details. */
export interface DamageCounts {
  /** Chunks that were moved aside into the quarantine. */
  quarantinedChunks: number;
  /** Batches that were stored again: the intact ones of damaged chunks, and what copies had beyond their owner. */
  salvagedBatches: number;
  salvagedBytes: number;
  /** Bytes of damaged chunks that could not be saved here, and that no peer was known to have. */
  lostBytes: number;
  /** Copies that were not what their owner's seal says: two nodes had different bytes under one name. */
  divergentChunks: number;
  /** What checks of sealed chunks have found. */
  readonly scrubFindings: { damaged: number; missing: number; indexDamaged: number };
}

/** Nothing yet. */
export function noDamage(): DamageCounts {
  return {
    quarantinedChunks: 0,
    salvagedBatches: 0,
    salvagedBytes: 0,
    lostBytes: 0,
    divergentChunks: 0,
    scrubFindings: { damaged: 0, missing: 0, indexDamaged: 0 },
  };
}
