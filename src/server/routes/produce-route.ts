import { headers, paths } from '../../protocol/http-api.js';
import { parseProduce, produceQueryNames, upgradeRequiredError } from '../operations/streams.js';
import type { Route } from '../route.js';

/** `GET /produce` in other forms than the one that opens a stream, which the lane takes: says what is wrong. */
export const produceRoute: Route = {
  path: paths.produce,
  methods: ['GET'],
  right: 'write',
  queryNames: produceQueryNames,
  async handle(context, query) {
    parseProduce(query, context.req.headers[headers.producer] as string | undefined);
    throw upgradeRequiredError(paths.produce);
  },
};
