import { paths } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/** `GET /listCategories`: the names of all categories that were ever written to and that the token may read, sorted. */
export const listCategoriesRoute: Route = {
  path: paths.listCategories,
  methods: ['GET'],
  right: 'read',
  scope: 'any',
  queryNames: [],
  async handle(context, _query, { store }, pass) {
    const names = await store.listCategories();
    sendJson(
      context,
      200,
      names.filter((category) => pass.allows('read', { category })),
    );
  },
};
