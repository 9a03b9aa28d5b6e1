import { checkBatch } from '../../protocol/batch-check.js';
import { ChukchaError } from '../../protocol/chukcha-error.js';
import { paths, type WriteReceipt } from '../../protocol/http-api.js';
import { checkCategoryName } from '../../protocol/names.js';
import { readBody } from '../request-body.js';
import { type Route, sendJson } from '../route.js';

/** `POST /write`: appends the messages of the body as one batch, all or nothing. */
export const writeRoute: Route = {
  path: paths.write,
  methods: ['POST'],
  queryNames: ['category', 'min_sync_replicas', 'sync_each_write'],
  async handle(context, query, ports) {
    const categoryName = checkCategoryName(query.required('category'));
    const sync = query.flag('sync_each_write');
    checkReplicas(query.integerOr('min_sync_replicas', { min: 0, max: 1_000 }, 0));
    const { 'content-encoding': encoding, 'transfer-encoding': transfer } = context.req.headers;
    checkEncoding('Content-Encoding', encoding, 'identity');
    checkEncoding('Transfer-Encoding', transfer, 'chunked');
    const body = await readBody(context.req, context.res, ports.batchBytesMax, ports.slabs);
    try {
      checkBatch(body.pieces);
      const category = await ports.store.category(categoryName);
      const { pieces, byteCount } = body;
      const receipt: WriteReceipt = await category.append({ pieces, byteCount, sync });
      sendJson(context, 200, receipt);
    } finally {
      body.release();
    }
  },
};

function checkReplicas(replicaCount: number): void {
  if (replicaCount === 0) return;
  throw new ChukchaError(
    'too_few_replicas',
    `min_sync_replicas is ${replicaCount}, but this node has no peers: write without it; nothing was stored.`,
    { fields: { wanted: replicaCount, replicas: 0 } },
  );
}

function checkEncoding(header: string, encoding: string | undefined, accepted: string): void {
  if (encoding === undefined || encoding.toLowerCase() === accepted) return;
  throw new ChukchaError(
    'unsupported_encoding',
    `${header} ${JSON.stringify(encoding.slice(0, 40))} is not taken: send the lines as they are; nothing was stored.`,
  );
}
