import { paths } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/** `GET /readyz`: 200 when the node takes writes, else 503, with the reasons. */
export const readyRoute: Route = {
  path: paths.ready,
  methods: ['GET'],
  right: 'open',
  queryNames: [],
  async handle(context, _query, { readiness }) {
    const reasons = await readiness();
    const ready = reasons.length === 0;
    sendJson(context, ready ? 200 : 503, { ready, reasons });
  },
};
