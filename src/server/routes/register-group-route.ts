import { type GroupRegistration, paths } from '../../protocol/http-api.js';
import { checkCategoryName, checkGroupName } from '../../protocol/names.js';
import { type Route, sendJson } from '../route.js';

/**
 * `PUT /groups/<group>`: from now on, chunks of the category wait for this group's acknowledgement too. May be
 * repeated: a group that is registered stays as it is. The category need not exist yet.
 */
export const registerGroupRoute: Route = {
  path: `${paths.groups}/<group>`,
  methods: ['PUT'],
  right: 'ack',
  queryNames: ['category', 'from'],
  async handle(context, query, { store, cluster }) {
    const group = checkGroupName(query.required('group'));
    const from = query.choice('from', ['earliest', 'latest']);
    const categoryName = checkCategoryName(query.required('category'));
    if (cluster !== undefined) {
      sendJson(context, 200, await cluster.registerGroup(categoryName, group, from));
      return;
    }
    const category = await store.categoryForClient(categoryName);
    const freed = await category.registerGroup(group, from);
    const registration: GroupRegistration = {
      category: category.name,
      group,
      from,
      created: freed !== undefined,
      freedChunks: freed?.chunks ?? 0,
      freedBytes: freed?.bytes ?? 0,
    };
    sendJson(context, 200, registration);
  },
};
