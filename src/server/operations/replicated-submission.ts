import { ChukchaError } from '../../protocol/chukcha-error.js';
import type { ProducerStamp } from '../../protocol/http-api.js';
import type { Appended, Submission } from '../../storage/batch.js';
import type { ClusterPorts } from '../cluster-ports.js';

export interface ReplicatedSubmissionOptions {
  readonly cluster: ClusterPorts;
  readonly category: string;
  readonly replicaCount: number;
}

/** A batch that is answered when it is stored here and at some peers. */
export class ReplicatedSubmission implements Submission {
  readonly pieces: readonly Uint8Array[];
  readonly byteCount: number;
  readonly sync: boolean;
  readonly stamp: ProducerStamp | undefined;
  readonly #asked: Submission;
  readonly #options: ReplicatedSubmissionOptions;
  /** Peers are told before the batch is stored, so that they begin at once. */
  readonly #endDurable: (() => void) | undefined;

  constructor(asked: Submission, options: ReplicatedSubmissionOptions) {
    this.pieces = asked.pieces;
    this.byteCount = asked.byteCount;
    this.sync = asked.sync;
    this.stamp = asked.stamp;
    this.#asked = asked;
    this.#options = options;
    this.#endDurable = asked.sync ? options.cluster.wantDurable(options.category) : undefined;
  }

  stored(appended: Appended): void {
    const { chunk, offset, size } = appended;
    if (chunk === null || offset === null) {
      // The first copy was acknowledged by all, so there is nothing to be lost any more.
      this.#confirmed(appended);
      return;
    }
    const { cluster, category, replicaCount } = this.#options;
    cluster.wait({
      category,
      chunk,
      end: offset + size,
      replicaCount,
      isDurable: this.sync,
      confirmed: () => this.#confirmed(appended),
      overdue: (count) => this.failed(notReplicated(appended, replicaCount, count)),
    });
  }

  failed(error: unknown): void {
    this.#endDurable?.();
    this.#asked.failed(error);
  }

  #confirmed(appended: Appended): void {
    this.#endDurable?.();
    this.#asked.stored(appended);
  }
}

function notReplicated(
  { chunk, offset, size }: Appended,
  wanted: number,
  replicas: number,
): ChukchaError {
  return new ChukchaError(
    'not_replicated',
    `The batch was stored, and ${replicas} of the ${wanted} peers that min_sync_replicas asks for have confirmed it in time: ` +
      'it will be replicated when they are back; send it again with the same stamp to be sure.',
    {
      fields: {
        stored: true,
        ...(chunk !== null && { chunk }),
        ...(offset !== null && { offset }),
        size,
        replicas,
        wanted,
      },
    },
  );
}
