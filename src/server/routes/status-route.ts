import { paths } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/** `GET /status`: the node and its categories, with what each group has still to acknowledge. */
export const statusRoute: Route = {
  path: paths.status,
  methods: ['GET'],
  right: 'observe',
  queryNames: [],
  async handle(context, _query, { status }) {
    sendJson(context, 200, await status());
  },
};
