import type { Client } from '../client/client.js';
import { systemRandom } from '../common/random.js';
import { BatchLayout } from './batch-layout.js';
import { LoadMeter } from './load-meter.js';
import { SequenceLedger } from './sequence-ledger.js';

/** What is written, and how. */
export interface LoadShape {
  readonly writerCount: number;
  readonly lineBytes: number;
  readonly lineCount: number;
  readonly sync: boolean;
  readonly minSyncReplicas: number;
}

/** Where it is written to. */
export interface LoadPlace {
  readonly category: string;
  readonly group: string;
  /** Makes a client of its own for each writer and reader, the n-th of which begins at the n-th node. */
  readonly connect: (index: number) => Client;
  /** The most bytes that may lie unread: writers wait then. */
  readonly backlogBytesMax: number;
}

const tagBytes = 4;

/** One load: what its writers and its reader share. */
export class LoadRun {
  readonly shape: LoadShape;
  readonly place: LoadPlace;
  readonly layout: BatchLayout;
  readonly ledger: SequenceLedger;
  readonly meter = new LoadMeter();

  constructor(shape: LoadShape, place: LoadPlace) {
    this.shape = shape;
    this.place = place;
    const { lineBytes, lineCount } = shape;
    this.layout = new BatchLayout({ tag: systemRandom.hex(tagBytes), lineBytes, lineCount });
    this.ledger = new SequenceLedger(shape.writerCount);
  }
}
