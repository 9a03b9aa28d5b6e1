import { finished } from 'node:stream/promises';
import { paths } from '../../protocol/http-api.js';
import { sendFileRange, writePiece } from '../file-range.js';
import {
  headRoomBytes,
  openRange,
  parseRead,
  rangeHeaders,
  readQueryNames,
} from '../operations/read.js';
import { ownTurn, type Route, requestEnd } from '../route.js';

/**
 * `GET /read`: whole messages of one chunk, from an offset on. An empty 200 means that there are no more
 * now; the state header says whether there can be more later.
 */
export const readRoute: Route = {
  path: paths.read,
  methods: ['GET'],
  right: 'read',
  queryNames: readQueryNames,
  async handle(context, query, ports, _pass, time) {
    await ownTurn(context);
    time.begin();
    const call = parseRead(query);
    const end = requestEnd(context, ports.stopping);
    const range = await openRange(call, ports, end.signal, time).finally(end.release);
    const { res: response } = context;
    let slabIsFree = true;
    try {
      context.respond = false;
      response.writeHead(200, rangeHeaders(range));
      time.end();
      if (range.content.kind === 'memory') {
        const byteCount = range.end - range.offset;
        const { slab } = range.content;
        slabIsFree = false;
        slabIsFree = await writePiece(
          response,
          slab.subarray(headRoomBytes, headRoomBytes + byteCount),
        );
      } else if (range.content.kind === 'file') {
        await sendFileRange(range.content.file, range.offset, range.end, response, ports.slabs);
      }
      response.end();
      // The node waits for the answers that are under way before it ends.
      await finished(response).catch(() => undefined);
    } finally {
      range.release(slabIsFree);
    }
  },
};
