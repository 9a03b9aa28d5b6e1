import { groupNameDefault, headers, paths } from '../../protocol/http-api.js';
import { longPollMsMax } from '../../protocol/limits.js';
import { checkGroupName } from '../../protocol/names.js';
import { type Route, refuseWhenStopping, requestEnd, sendJson } from '../route.js';

/**
 * `GET /listChunks`: the chunks that a group has not acknowledged, by owner and then by index. With
 * `version` (from the header of an earlier answer) and `wait_ms` it is held until the list has changed;
 * growth of a chunk is no change of the list.
 */
export const listChunksRoute: Route = {
  path: paths.listChunks,
  methods: ['GET'],
  right: 'read',
  queryNames: ['category', 'group', 'version', 'wait_ms'],
  async handle(context, query, ports, _pass, time) {
    const { store, clock, stopping } = ports;
    const categoryName = query.required('category');
    const group = checkGroupName(query.optional('group') ?? groupNameDefault);
    const waitMs = query.integerOr('wait_ms', { min: 0, max: longPollMsMax }, 0);
    const seenVersion = query.optional('version');
    let category = await store.knownCategory(categoryName);
    const end = requestEnd(context, stopping);
    const deadlineMs = clock.monotonicMs() + waitMs;
    try {
      while (seenVersion === store.listVersion(category) && !end.signal.aborted) {
        const timeoutMs = deadlineMs - clock.monotonicMs();
        if (timeoutMs <= 0) break;
        const changed = category?.view.changed ?? store.categoriesChanged;
        await changed.wait({ clock, timeoutMs, signal: end.signal });
        time.begin();
        category = await store.knownCategory(categoryName);
      }
    } finally {
      end.release();
    }
    refuseWhenStopping(ports, waitMs > 0 && seenVersion === store.listVersion(category));
    sendJson(context, 200, category?.view.list(group) ?? [], {
      [headers.listVersion]: store.listVersion(category),
      [headers.clusterId]: ports.clusterId,
    });
  },
};
