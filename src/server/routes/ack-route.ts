import { ChukchaError } from '../../protocol/chukcha-error.js';
import { groupNameDefault, paths } from '../../protocol/http-api.js';
import { checkChunkName, checkGroupName } from '../../protocol/names.js';
import { type Route, sendJson } from '../route.js';

/** `GET` or `POST /ack`: a group has processed a sealed chunk up to its size. May be repeated. */
export const ackRoute: Route = {
  path: paths.ack,
  methods: ['GET', 'POST'],
  right: 'ack',
  queryNames: ['category', 'chunk', 'size', 'group'],
  async handle(context, query, { store }) {
    const categoryName = query.required('category');
    const category = await store.knownCategory(categoryName);
    const chunkName = query.required('chunk');
    checkChunkName(chunkName);
    const size = query.integer('size', { min: 0, max: Number.MAX_SAFE_INTEGER });
    const group = checkGroupName(query.optional('group') ?? groupNameDefault);
    if (category === undefined) {
      throw new ChukchaError(
        'chunk_not_found',
        `Category ${categoryName} has no chunks on this node.`,
        {
          fields: { category: categoryName, chunk: chunkName },
        },
      );
    }
    await category.ack(chunkName, size, group);
    sendJson(context, 200, { category: categoryName, chunk: chunkName, group });
  },
};
