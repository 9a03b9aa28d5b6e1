import { paths } from '../../protocol/http-api.js';
import { acknowledge, ackQueryNames, parseAck } from '../operations/ack.js';
import { type Route, sendJson } from '../route.js';

/** `GET` or `POST /ack`: a group has processed a sealed chunk up to its size. May be repeated. */
export const ackRoute: Route = {
  path: paths.ack,
  methods: ['GET', 'POST'],
  right: 'ack',
  queryNames: ackQueryNames,
  async handle(context, query, ports) {
    const call = parseAck(query);
    await acknowledge(call, ports);
    const { categoryName, chunkName, group } = call;
    sendJson(context, 200, { category: categoryName, chunk: chunkName, group });
  },
};
