import { compareOwnerPositions, type OwnerPosition } from '../protocol/position.js';
import type { Category } from '../storage/category.js';
import type { Store } from '../storage/store.js';
import type { PositionBoard } from './position-board.js';

/** What others lack of this node's own chunks of a category, in bytes. */
export interface CategoryLag {
  readonly category: string;
  /** What no connected peer has. */
  readonly bytesHereOnly: number;
  /** What each connected peer lacks. */
  readonly behind: readonly { readonly peer: string; readonly bytes: number }[];
}

export interface ReplicationLagPorts {
  readonly store: Pick<Store, 'openCategories'>;
  readonly board: Pick<PositionBoard, 'peers' | 'position'>;
}

/**
 * Counts what peers lack of this node's own chunks when somebody asks: nothing is counted along with writes. Only the
 * chunks behind a peer's position are looked at, so it takes longer the more a peer lacks.
 */
export class ReplicationLag {
  readonly #store: ReplicationLagPorts['store'];
  readonly #board: ReplicationLagPorts['board'];

  constructor({ store, board }: ReplicationLagPorts) {
    this.#store = store;
    this.#board = board;
  }

  /** Bytes that a connected peer lacks. */
  bytesBehind(peer: string): number {
    return this.#behindAll([peer]);
  }

  /** Bytes that no connected peer has. */
  get bytesHereOnly(): number {
    return this.#behindAll(this.#board.peers);
  }

  byCategory(): CategoryLag[] {
    const { peers } = this.#board;
    return [...this.#store.openCategories].map((category) => ({
      category: category.name,
      bytesHereOnly: this.#behind(category, peers),
      behind: peers.map((peer) => ({ peer, bytes: this.#behind(category, [peer]) })),
    }));
  }

  #behindAll(peers: readonly string[]): number {
    let bytes = 0;
    for (const category of this.#store.openCategories) bytes += this.#behind(category, peers);
    return bytes;
  }

  /** What the furthest of the peers lacks. */
  #behind(category: Category, peers: readonly string[]): number {
    let furthest: OwnerPosition = { index: 0, offset: 0 };
    for (const peer of peers) {
      const place = this.#board.position(peer, category.name)?.written;
      if (place !== undefined && compareOwnerPositions(place, furthest) > 0) furthest = place;
    }
    return bytesFrom(category, furthest);
  }
}

/** Bytes of a node's own chunks of a category from a place on. */
function bytesFrom({ view }: Category, place: OwnerPosition): number {
  let bytes = 0;
  for (
    let chunk = view.nextOwnChunk(place.index);
    chunk !== undefined;
    chunk = view.nextOwnChunk(chunk.index + 1)
  ) {
    const { index, size } = chunk;
    bytes += index === place.index ? Math.max(0, size - place.offset) : size;
  }
  return bytes;
}
