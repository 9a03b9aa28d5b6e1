import { paths, type SealReceipt } from '../../protocol/http-api.js';
import { type Route, sendJson } from '../route.js';

/**
 * `POST /seal`: seals this node's open chunk of a category, so that it can be acknowledged without waiting for
 * it to become full. The answer has what an acknowledgement needs.
 */
export const sealRoute: Route = {
  path: paths.seal,
  methods: ['POST'],
  right: 'ack',
  queryNames: ['category'],
  async handle(context, query, { store }) {
    const categoryName = query.required('category');
    const category = await store.knownCategory(categoryName);
    const chunk = await category?.seal();
    const receipt: SealReceipt = {
      category: categoryName,
      chunk: chunk?.name ?? null,
      size: chunk?.size ?? null,
    };
    sendJson(context, 200, receipt);
  },
};
