import type { Client } from '../client/client.js';
import type { Clock } from '../common/clock.js';
import { linkSignals } from '../common/link-signals.js';
import { sleep } from '../common/wait.js';
import { errorCode } from '../protocol/chukcha-error.js';
import type { ErrorCode } from '../protocol/error-codes.js';
import {
  type PipelineKind,
  type PipelineReport,
  pipelineReportMs,
} from '../protocol/pipeline-report.js';

export interface PipelineReporterOptions {
  readonly kind: PipelineKind;
  readonly name: string;
  readonly category: string;
  readonly clock: Clock;
  /**
   * Opens what the reports go through: a client of their own, so that what becomes of a report changes nothing for the
   * pipeline.
   */
  readonly openClient: () => Promise<Client>;
  /** How the pipeline stands now. What it throws is taken for a report that cannot be made. */
  readonly report: () => Promise<PipelineReport>;
}

/** How long a node may take for a report. */
const answerMsMax = 2_000;

/** A node that cannot be reached may be back soon; one that refuses is of an earlier version, or will not for long. */
const unreachableDelayMs = 10_000;
const refusedDelayMs = 60_000;

const passingCodes: ReadonlySet<ErrorCode | undefined> = new Set([
  'server_unreachable',
  'timeout',
  'aborted',
]);

/**
 * Tells every node whose address was given how a pipeline stands, again and again. It disturbs nothing: what goes wrong is
 * left out without a word, and a node that does not want to know is asked seldom. Whether nodes show a pipeline says nothing
 * about its work.
 */
export class PipelineReporter {
  readonly #options: PipelineReporterOptions;
  readonly #stop = new AbortController();
  /** When a node that did not take a report is told again. */
  readonly #notBefore = new Map<string, number>();
  #client: Client | undefined;
  #running: Promise<void> | undefined;

  constructor(options: PipelineReporterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives up what is under way; idempotent, never rejects. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      // A pipeline works the same whether anybody sees it: there is nobody who could mend what failed here.
      await this.#tell().catch(() => undefined);
      const restMs = pipelineReportMs - (clock.monotonicMs() - startMs);
      await sleep(clock, Math.max(0, restMs), signal).catch(() => undefined);
    }
    this.#client?.close();
  }

  async #tell(): Promise<void> {
    const report = await this.#options.report();
    this.#client ??= await this.#options.openClient();
    const client = this.#client;
    const nowMs = this.#options.clock.monotonicMs();
    const due = client.servers.filter((server) => (this.#notBefore.get(server) ?? 0) <= nowMs);
    const codes = await Promise.all(due.map((server) => this.#tellOne(client, server, report)));
    if (codes.length === 0 || !codes.every((code) => code === 'unauthorized')) return;
    // The token may have been replaced since: it is read again then.
    client.close();
    this.#client = undefined;
  }

  /** The code of what it failed with; never rejects. */
  async #tellOne(
    client: Client,
    server: string,
    report: PipelineReport,
  ): Promise<ErrorCode | undefined> {
    const { clock, kind, name, category } = this.#options;
    const end = linkSignals(this.#stop.signal, AbortSignal.timeout(answerMsMax));
    try {
      const { signal } = end;
      await client.reportPipeline({ kind, name, category }, report, { server, signal });
      this.#notBefore.delete(server);
      return undefined;
    } catch (error) {
      const code = errorCode(error);
      const delayMs = passingCodes.has(code) ? unreachableDelayMs : refusedDelayMs;
      this.#notBefore.set(server, clock.monotonicMs() + delayMs);
      return code ?? 'internal';
    } finally {
      end.release();
    }
  }
}
