import { ChukchaError } from '../../protocol/chukcha-error.js';
import { groupNameDefault } from '../../protocol/http-api.js';
import { checkCategoryName, checkChunkName, checkGroupName } from '../../protocol/names.js';
import type { Query } from '../query.js';
import type { ServerPorts } from '../server-ports.js';

export const ackQueryNames = ['category', 'chunk', 'size', 'group'] as const;

/** What a group says that it has processed. */
export interface AckCall {
  readonly categoryName: string;
  readonly chunkName: string;
  /** The size of the chunk up to which it was processed. */
  readonly size: number;
  readonly group: string;
}

/** Reads what an acknowledgement says. Throws `invalid_request` or `invalid_name`. */
export function parseAck(query: Query): AckCall {
  const categoryName = checkCategoryName(query.required('category'));
  const chunkName = query.required('chunk');
  checkChunkName(chunkName);
  const size = query.integer('size', { min: 0, max: Number.MAX_SAFE_INTEGER });
  const group = checkGroupName(query.optional('group') ?? groupNameDefault);
  return { categoryName, chunkName, size, group };
}

/**
 * Records that a group has processed a chunk; durable when it resolves, and may be repeated. It makes no category: what is
 * refused leaves nothing behind. Throws `invalid_name`, and what `Category.ack` throws.
 */
export async function acknowledge(
  { categoryName, chunkName, size, group }: AckCall,
  { store }: Pick<ServerPorts, 'store'>,
): Promise<void> {
  const category = await store.knownCategory(categoryName);
  checkChunkName(chunkName);
  if (category === undefined) {
    throw new ChukchaError(
      'chunk_not_found',
      `Category ${categoryName} has no chunks on this node: acknowledge a chunk that /listChunks shows.`,
      { fields: { category: categoryName, chunk: chunkName } },
    );
  }
  await category.ack(chunkName, size, group);
}
