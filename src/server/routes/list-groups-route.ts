import { paths } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/** `GET /groups`: the registered groups of a category, by name, with what each has still to acknowledge. */
export const listGroupsRoute: Route = {
  path: paths.groups,
  methods: ['GET'],
  right: 'read',
  queryNames: ['category'],
  async handle(context, query, { store }) {
    const category = await store.knownCategory(query.required('category'));
    sendJson(context, 200, category?.view.groups() ?? []);
  },
};
