import { paths } from '../../protocol/http-api.js';
import { consumeQueryNames, parseConsume, upgradeRequiredError } from '../operations/streams.js';
import type { Route } from '../route.js';

/** `GET /consume` in other forms than the one that opens a stream, which the lane takes: says what is wrong. */
export const consumeRoute: Route = {
  path: paths.consume,
  methods: ['GET'],
  right: 'read',
  queryNames: consumeQueryNames,
  async handle(context, query, { access }) {
    const { categoryName: category } = parseConsume(query);
    // Acknowledgements come over the same stream.
    access?.check(context.req.headers.authorization, 'ack', { category });
    throw upgradeRequiredError(paths.consume);
  },
};
