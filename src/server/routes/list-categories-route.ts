import { paths } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/** `GET /listCategories`: the names of all categories that were ever written to, sorted. */
export const listCategoriesRoute: Route = {
  path: paths.listCategories,
  methods: ['GET'],
  queryNames: [],
  async handle(context, _query, { store }) {
    sendJson(context, 200, await store.listCategories());
  },
};
