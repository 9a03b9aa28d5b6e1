import { paths } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/** `GET /livez`: answers as long as the event loop runs, and says which node this is. */
export const liveRoute: Route = {
  path: paths.live,
  methods: ['GET'],
  right: 'open',
  queryNames: [],
  async handle(context, _query, { nodeName, clusterId, batchBytesMax, stopping }) {
    sendJson(context, 200, {
      node: nodeName,
      cluster: clusterId,
      maxBatch: batchBytesMax,
      state: stopping.aborted ? 'stopping' : 'running',
    });
  },
};
