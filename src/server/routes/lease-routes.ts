import { type LeaseAnswer, leaseMsMax, paths } from '../../protocol/http-api.js';
import { checkCategoryName, checkGroupName, checkHolderName } from '../../protocol/names.js';
import type { GroupLease } from '../group-leases.js';
import type { Query } from '../query.js';
import { type Route, sendJson } from '../route.js';

const path = `${paths.leases}/<group>`;

/** `GET /leases/<group>`: which reader drains a category for a group, as far as this node was asked. */
export const findLeaseRoute: Route = {
  path,
  right: 'ack',
  methods: ['GET', 'HEAD'],
  queryNames: ['category'],
  async handle(context, query, { leases }) {
    const { category, group } = namesIn(query);
    sendJson(context, 200, answer(category, group, leases.find(category, group)));
  },
};

/** `PUT /leases/<group>`: takes or renews a lease, unless another reader holds it; the answer says who does. */
export const takeLeaseRoute: Route = {
  path,
  right: 'ack',
  methods: ['PUT'],
  queryNames: ['category', 'holder', 'ttl_ms'],
  async handle(context, query, { leases }) {
    const { category, group } = namesIn(query);
    const holder = checkHolderName(query.required('holder'));
    const ttlMs = query.integer('ttl_ms', { min: 1, max: leaseMsMax });
    sendJson(context, 200, answer(category, group, leases.take(category, group, holder, ttlMs)));
  },
};

/** `DELETE /leases/<group>`: gives a lease back. May be repeated. */
export const releaseLeaseRoute: Route = {
  path,
  right: 'ack',
  methods: ['DELETE'],
  queryNames: ['category', 'holder'],
  async handle(context, query, { leases }) {
    const { category, group } = namesIn(query);
    leases.release(category, group, checkHolderName(query.required('holder')));
    sendJson(context, 200, answer(category, group, leases.find(category, group)));
  },
};

function namesIn(query: Query): { readonly category: string; readonly group: string } {
  return {
    category: checkCategoryName(query.required('category')),
    group: checkGroupName(query.required('group')),
  };
}

function answer(category: string, group: string, lease: GroupLease | undefined): LeaseAnswer {
  return {
    category,
    group,
    holder: lease?.holder ?? null,
    expiresInMs: Math.round(lease?.expiresInMs ?? 0),
  };
}
