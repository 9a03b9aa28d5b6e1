import { ChukchaError, errorCode } from '../../protocol/chukcha-error.js';
import { paths } from '../../protocol/http-api.js';
import { checkCategoryName } from '../../protocol/names.js';
import {
  checkPipelineName,
  type PipelineKind,
  parsePipelineReport,
  pipelineKinds,
  pipelineReportBytesMax,
} from '../../protocol/pipeline-report.js';
import type { Query } from '../query.js';
import { readBody } from '../request-body.js';
import { type Route, sendJson } from '../route.js';

/**
 * `PUT /pipelines/<name>`: a ship or a sink says how it stands. It needs the right that the pipeline works with, so that
 * nobody who may not write to a category says what is being written to it.
 */
export const reportPipelineRoute: Route = {
  path: `${paths.pipelines}/<name>`,
  methods: ['PUT'],
  // Who may not call it learns nothing of how it is called.
  right: (query) => (query.optional('kind') === 'ship' ? 'write' : 'ack'),
  queryNames: ['kind', 'category'],
  async handle(context, query, { pipelines, slabs, budget }, _pass, time) {
    const kind = kindIn(query);
    const name = checkPipelineName(query.required('name'));
    const category = checkCategoryName(query.required('category'));
    const limits = { slabs, budget, batchBytesMax: pipelineReportBytesMax };
    const body = await readBody(context.req, context.res, limits).catch(sayReport);
    time.begin();
    try {
      pipelines.put({ kind, category, name }, parsePipelineReport(textOf(body.pieces)));
    } finally {
      body.release();
    }
    sendJson(context, 200, { kind, name, category });
  },
};

function kindIn(query: Query): PipelineKind {
  query.required('kind');
  return query.choice('kind', pipelineKinds);
}

/** The limit is that of a report, not that of a batch. */
function sayReport(error: unknown): never {
  if (errorCode(error) !== 'batch_too_large') throw error;
  throw new ChukchaError(
    'batch_too_large',
    `The report of a pipeline has more than ${pipelineReportBytesMax} bytes; nothing of it is shown.`,
    { fields: { limit: pipelineReportBytesMax }, cause: error },
  );
}

/** Throws `invalid_request` for what is not UTF-8. */
function textOf(pieces: readonly Uint8Array[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
  } catch (cause) {
    throw new ChukchaError(
      'invalid_request',
      'The report of a pipeline is not UTF-8: expected JSON; nothing of it is shown.',
      { cause },
    );
  }
}
