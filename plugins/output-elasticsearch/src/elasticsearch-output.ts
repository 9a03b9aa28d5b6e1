import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  type BatchingAdvice,
  type MessageFailure,
  type Output,
  type OutputBatch,
  type OutputContext,
  type OutputModule,
  PluginError,
  type PluginMetrics,
  type WriteOutcome,
} from '@chukcha/plugin-api';
import { BodyBuffers } from './body-buffers.js';
import { BulkBodies, type BulkBody } from './bulk-body.js';
import { bulkFilterPath, readBulkResult } from './bulk-result.js';
import { checkTarget } from './check-target.js';
import { createIndexName } from './index-name.js';
import { MessageReader } from './message-reader.js';
import { readServerInfo } from './server-info.js';
import type { ServerAnswer } from './server-request.js';
import { ServerRing } from './server-ring.js';
import { resolveTargetOptions, type TargetOptions } from './target-options.js';

const gzipAsync = promisify(gzip);

/** The level that costs least; the next ones save a few per cent for twice the time. */
const gzipLevel = 1;

/** A batch of this size makes a body below the default limit, also of short messages. */
const batchBytesMax = 4 * 1024 * 1024;

/** Servers are fastest with some thousand documents in a request; more only costs them memory. */
const batchMessagesMax = 20_000;

/** Every server takes a request of this size; one that does not is not set up for its work. */
const bodyBytesMin = 64 * 1024;

/** A second of company makes requests a hundred times fewer at 100 messages a second. */
const lingerMs = 1_000;

/**
 * The module for one product.
 *
 * @param variables how its environment variables begin: `ELASTICSEARCH` or `OPENSEARCH`
 */
export function createModule(variables: string): OutputModule {
  return {
    open: async (options, context) => {
      const target = resolveTargetOptions(options, variables, process.env);
      return await openOutput(target, context);
    },
    check: (options, context) =>
      checkTarget(() => resolveTargetOptions(options, variables, process.env), context),
  };
}

/**
 * Asks the server who it is, once. Throws `operator` for wrong credentials, an invalid index name or a server that is
 * too old, `transient` when no server can be reached.
 */
async function openOutput(options: TargetOptions, context: OutputContext): Promise<Output> {
  const index = createIndexName(options.indexTemplate, context.category);
  const ring = new ServerRing(options);
  try {
    const info = await readServerInfo(ring, new AbortController().signal);
    context.log.info('The server was found.', { ...info, hosts: ring.addresses.join(',') });
  } catch (error) {
    ring.close();
    throw error;
  }
  const path = index.fixed === undefined ? '/_bulk' : `/${encodeURIComponent(index.fixed)}/_bulk`;
  return new ElasticsearchOutput(options, ring, new MessageReader(options, index), path, context);
}

/** Turns batches into `_bulk` requests and their answers into outcomes; it keeps nothing between batches but sizes. */
class ElasticsearchOutput implements Output {
  readonly batching: BatchingAdvice;
  readonly #options: TargetOptions;
  readonly #ring: ServerRing;
  readonly #reader: MessageReader;
  readonly #buffers: BodyBuffers;
  readonly #path: string;
  readonly #context: OutputContext;
  readonly #figures: ReturnType<typeof createFigures>;
  /** What the server was seen to take: it shrinks when a body was too large. */
  #bodyBytesMax: number;

  constructor(
    options: TargetOptions,
    ring: ServerRing,
    reader: MessageReader,
    path: string,
    context: OutputContext,
  ) {
    this.#options = options;
    this.#ring = ring;
    this.#reader = reader;
    this.#buffers = new BodyBuffers(options.inFlightMax);
    this.#path = `${path}?filter_path=${bulkFilterPath}`;
    this.#context = context;
    this.#figures = createFigures(context.metrics);
    this.#bodyBytesMax = options.bodyBytesMax;
    this.batching = {
      bytesMax: Math.min(batchBytesMax, options.bodyBytesMax),
      messagesMax: batchMessagesMax,
      lingerMs,
      inFlightMax: options.inFlightMax,
    };
  }

  /**
   * Resolves when the server has stored, as durably as its own setting says, all messages but those named in the outcome.
   * Bodies of one batch go one after another.
   */
  async write(batch: OutputBatch, signal: AbortSignal): Promise<WriteOutcome | undefined> {
    const delivery: Delivery = { failures: [], takenCount: 0 };
    await this.#deliver(batch, delivery, signal);
    const { failures } = delivery;
    return failures.length === 0
      ? undefined
      : { failures: failures.sort((first, second) => first.index - second.index) };
  }

  /** Lets go of the connections. */
  async close(): Promise<void> {
    this.#ring.close();
  }

  async #deliver(batch: OutputBatch, delivery: Delivery, signal: AbortSignal): Promise<void> {
    const bodies = new BulkBodies(batch, this.#reader, this.#buffers);
    for (;;) {
      const body = bodies.next(this.#bodyBytesMax);
      if (body === undefined) break;
      try {
        await this.#deliverBody(batch, body, delivery, signal);
      } catch (error) {
        if (delivery.takenCount === 0 || signal.aborted) throw error;
        // What the server has taken is settled; only the others are given again.
        const reason = (error as Error).message;
        for (const index of [...body.indexes, ...bodies.rest()]) {
          delivery.failures.push({ index, reason, kind: 'transient' });
        }
      }
    }
    for (const { index, reason } of bodies.refused) {
      delivery.failures.push({ index, reason, kind: 'data' });
    }
  }

  async #deliverBody(
    batch: OutputBatch,
    body: BulkBody,
    delivery: Delivery,
    signal: AbortSignal,
  ): Promise<void> {
    const bodyBytes = body.bytes.length;
    const answer = await this.#send(body, signal);
    if (answer.status === 413) {
      await this.#deliverSmaller(batch, body, bodyBytes, answer, delivery, signal);
      return;
    }
    if (answer.status !== 200) throw this.#requestError(answer);
    const { failures, operatorReason, duplicateCount } = readBulkResult(
      answer.body,
      body.indexes,
      this.#options.action === 'create',
    );
    delivery.takenCount += body.indexes.length - failures.length;
    if (duplicateCount > 0) this.#figures.duplicates.add(duplicateCount);
    if (operatorReason !== undefined && delivery.takenCount === 0) {
      throw new PluginError(
        'operator',
        this.#ring.redact(
          `${operatorReason.replace(/[.;]+$/, '')}. Documents of ${this.#target()} cannot be stored: mend that at the server, and delivery goes on; ` +
            'chukcha sink --check says how.',
        ),
      );
    }
    for (const { index, reason, kind } of failures) {
      delivery.failures.push({ index, reason: this.#ring.redact(reason), ...(kind && { kind }) });
    }
  }

  async #send(body: BulkBody, signal: AbortSignal): Promise<ServerAnswer> {
    const { gzip: compress } = this.#options;
    const bytes = compress ? await gzipAsync(body.bytes, { level: gzipLevel }) : body.bytes;
    const answer = await this.#ring.send(
      {
        method: 'POST',
        path: this.#path,
        headers: {
          'content-type': 'application/x-ndjson',
          ...(compress ? { 'content-encoding': 'gzip' } : {}),
        },
        body: bytes,
      },
      signal,
    );
    this.#figures.bytes.add(bytes.length);
    // A request that failed may still be with the system: its buffer is left to the collector.
    if (compress || answer.sentWhole) this.#buffers.giveBack(body.bytes);
    return answer;
  }

  /** The server does not take so many bytes: the same messages go in smaller bodies, and so do all later ones. */
  async #deliverSmaller(
    batch: OutputBatch,
    body: BulkBody,
    bodyBytes: number,
    answer: ServerAnswer,
    delivery: Delivery,
    signal: AbortSignal,
  ): Promise<void> {
    const [first, ...others] = body.indexes;
    if (bodyBytes <= bodyBytesMin) {
      throw new PluginError(
        'operator',
        `A server refuses a request of ${bodyBytes} bytes as too large (${this.#ring.describeAnswer(answer)}): expected it to take ${bodyBytesMin}; ` +
          'raise http.max_content_length at the server, or the limit of the proxy in front of it.',
      );
    }
    if (first !== undefined && others.length === 0) {
      const reason = `The server takes no request of ${bodyBytes} bytes, and this message alone needs it: raise http.max_content_length at the server, or the limit of the proxy in front of it.`;
      delivery.failures.push({ index: first, reason, kind: 'data' });
      return;
    }
    this.#bodyBytesMax = Math.max(
      bodyBytesMin,
      Math.min(this.#bodyBytesMax, Math.floor(bodyBytes / 2)),
    );
    this.#figures.splits.add();
    this.#context.log.info('The server refused a request as too large; smaller ones are sent.', {
      bodyBytes,
      bodyBytesMax: this.#bodyBytesMax,
    });
    await this.#deliver({ ...batch, only: [...body.indexes] }, delivery, signal);
  }

  /** What a status other than 200 of a whole request means. */
  #requestError(answer: ServerAnswer): PluginError {
    const { status, host } = answer;
    const said = this.#ring.describeAnswer(answer);
    if (status === 408 || status === 429 || status >= 500) {
      return new PluginError('transient', `Server ${host} could not take documents now: ${said}.`);
    }
    return new PluginError(
      'operator',
      `Server ${host} refuses documents for ${this.#target()}: ${said}. ${adviceFor(status)}`,
    );
  }

  #target(): string {
    return `index ${this.#options.indexTemplate.replaceAll('{category}', this.#context.category)}`;
  }
}

/** What has become of the messages of a batch so far. */
interface Delivery {
  readonly failures: MessageFailure[];
  takenCount: number;
}

function adviceFor(status: number): string {
  switch (status) {
    case 401:
      return 'Set a user and password or an API key that the server knows.';
    case 403:
      return 'Give the user or the API key the privilege create_doc on the index, and auto_configure when the index is not there.';
    case 404:
    case 405:
      return 'Expected a server that knows _bulk: check the address and what stands between it and here.';
    default:
      return 'Expected status 200: check the address, the name of the index and what stands between the server and here.';
  }
}

function createFigures(metrics: PluginMetrics) {
  return {
    bytes: metrics.counter(
      'request_bytes_total',
      'Bytes of requests that were answered, as they were sent.',
    ),
    duplicates: metrics.counter(
      'duplicate_documents_total',
      'Documents that the server had already, which is the rule after a retry.',
    ),
    splits: metrics.counter(
      'split_requests_total',
      'Requests that the server refused as too large.',
    ),
  };
}
