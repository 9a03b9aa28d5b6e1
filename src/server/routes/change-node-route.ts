import { nodeChanges, paths } from '../../protocol/http-api.js';
import { checkNodeName } from '../../protocol/names.js';
import { noMemberError } from '../operations/error-answer.js';
import { type Route, sendJson } from '../route.js';

/**
 * `POST /nodes/<node>`: what an operator does with a member of the cluster: `drain` and `undrain` it, have another
 * directory `replace` its own, or `remove` it, with `force` also when it has what nobody else has.
 */
export const changeNodeRoute: Route = {
  path: `${paths.nodes}/<node>`,
  methods: ['POST'],
  right: 'admin',
  queryNames: ['change', 'force'],
  async handle(context, query, { cluster }) {
    const node = checkNodeName(query.required('node'));
    query.required('change');
    const change = query.choice('change', nodeChanges);
    const force = query.flag('force');
    if (cluster === undefined) throw noMemberError();
    await cluster.changeMember(node, change, force);
    sendJson(context, 200, { node, change });
  },
};
