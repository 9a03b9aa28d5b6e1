import { paths } from '../../protocol/http-api.js';
import { checkGroupName } from '../../protocol/names.js';
import { type Route, sendJson } from '../route.js';

/**
 * `PUT /groups?category=...&group=...`: from now on, chunks of the category wait for this group's
 * acknowledgement too. May be repeated. The category need not exist yet.
 */
export const groupsRoute: Route = {
  path: paths.groups,
  methods: ['PUT'],
  queryNames: ['category', 'group'],
  async handle(context, query, { store }) {
    const group = checkGroupName(query.required('group'));
    const category = await store.category(query.required('category'));
    await category.registerGroup(group);
    sendJson(context, 200, { category: category.name, group });
  },
};
