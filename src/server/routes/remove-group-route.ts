import { type GroupRemoval, paths } from '../../protocol/http-api.js';
import { checkCategoryName, checkGroupName } from '../../protocol/names.js';
import { type Route, sendJson } from '../route.js';

/**
 * `DELETE /groups/<group>`: forgets the group and what it has acknowledged, and deletes the chunks that only it
 * still held. May be repeated.
 */
export const removeGroupRoute: Route = {
  path: `${paths.groups}/<group>`,
  methods: ['DELETE'],
  right: 'admin',
  queryNames: ['category'],
  async handle(context, query, { store, cluster }) {
    const group = checkGroupName(query.required('group'));
    const categoryName = query.required('category');
    if (cluster !== undefined) {
      sendJson(context, 200, await cluster.removeGroup(checkCategoryName(categoryName), group));
      return;
    }
    const category = await store.knownCategory(categoryName);
    const freed = await category?.removeGroup(group);
    const removal: GroupRemoval = {
      category: categoryName,
      group,
      removed: freed !== undefined,
      freedChunks: freed?.chunks ?? 0,
      freedBytes: freed?.bytes ?? 0,
    };
    sendJson(context, 200, removal);
  },
};
