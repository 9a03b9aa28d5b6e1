import { headers, paths } from '../../protocol/http-api.js';
import type { Appended } from '../../storage/batch.js';
import {
  parseWrite,
  receiptBody,
  replicaRefusal,
  type StampHeaders,
  submitBatch,
  writeQueryNames,
} from '../operations/write.js';
import { readBody } from '../request-body.js';
import { type Route, sendText } from '../route.js';

/** `POST /write`: appends the messages of the body as one batch, all or nothing. */
export const writeRoute: Route = {
  path: paths.write,
  methods: ['POST'],
  right: 'write',
  queryNames: writeQueryNames,
  async handle(context, query, ports, _pass, time) {
    const { [headers.producer]: producer, [headers.sequence]: sequence } = context.req.headers;
    // Only `Set-Cookie` can be a list: Node joins the others with commas, which no name has.
    const stamp = { producer, sequence } as StampHeaders;
    const { categoryName, replicaCount, ...call } = parseWrite(query, stamp);
    const refusal = replicaRefusal(ports, replicaCount);
    if (refusal !== undefined) throw refusal;
    const body = await readBody(context.req, context.res, ports);
    time.begin();
    try {
      const { pieces, byteCount } = body;
      const appended = await new Promise<Appended>((stored, failed) => {
        const submission = { ...call, pieces, byteCount, stored, failed };
        submitBatch(ports, categoryName, submission, replicaCount);
      });
      if (appended.duplicate) ports.counts.duplicateCount += 1;
      sendText(context, 200, receiptBody(appended));
    } finally {
      body.release();
    }
  },
};
