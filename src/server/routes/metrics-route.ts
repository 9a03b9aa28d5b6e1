import { paths } from '../../protocol/http-api.js';
import type { Route } from '../route.js';

/** `GET /metrics`: what the node's status says, in the text form of Prometheus. */
export const metricsRoute: Route = {
  path: paths.metrics,
  methods: ['GET'],
  right: 'observe',
  queryNames: [],
  async handle(context, _query, { metrics }) {
    const text = await metrics.read();
    context.respond = false;
    context.res.writeHead(200, {
      'Content-Type': metrics.contentType,
      'Content-Length': Buffer.byteLength(text),
    });
    context.res.end(text);
  },
};
