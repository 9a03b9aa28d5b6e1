import { ChukchaError } from '../protocol/chukcha-error.js';
import type { ProducerStamp } from '../protocol/http-api.js';
import type { Appended, Submission } from './batch.js';
import type { CategoryWriter } from './category-writer.js';
import type { ProducerBook } from './producer-book.js';

/**
 * Stands in front of a category's writer and keeps out batches that are stored already, or just being stored,
 * under the same stamp. A repetition is answered as the first copy would be: one that asks for durability
 * waits for it.
 */
export class DuplicateFilter {
  readonly #writer: CategoryWriter;
  readonly #producers: ProducerBook;
  /** By stamp: the repetitions that wait for the outcome of a batch that was handed to the writer. */
  readonly #underWay = new Map<string, Submission[]>();

  constructor(writer: CategoryWriter, producers: ProducerBook) {
    this.#writer = writer;
    this.#producers = producers;
  }

  submit(submission: Submission): void {
    const { stamp } = submission;
    if (stamp === undefined) this.#writer.submit(submission);
    else this.#submitStamped(submission, stamp);
  }

  #submitStamped(submission: Submission, stamp: ProducerStamp): void {
    const key = `${stamp.producer} ${stamp.sequence}`;
    const waiting = this.#underWay.get(key);
    if (waiting !== undefined) {
      waiting.push(submission);
      return;
    }
    let found: ReturnType<ProducerBook['find']>;
    try {
      found = this.#producers.find(stamp, submission);
    } catch (error) {
      submission.failed(error);
      return;
    }
    if (found === 'new') this.#store(submission, key);
    else if (found === 'forgotten') submission.failed(sequenceTooOld(stamp));
    else this.#answerDuplicate(submission, found);
  }

  #store(submission: Submission, key: string): void {
    const waiting: Submission[] = [];
    this.#underWay.set(key, waiting);
    const settle = (): void => {
      this.#underWay.delete(key);
      // When the first one failed, the next is as good as new.
      for (const repetition of waiting) this.submit(repetition);
    };
    this.#writer.submit({
      pieces: submission.pieces,
      byteCount: submission.byteCount,
      sync: submission.sync,
      stamp: submission.stamp,
      stored(appended) {
        submission.stored(appended);
        settle();
      },
      failed(error) {
        submission.failed(error);
        settle();
      },
    });
  }

  #answerDuplicate(submission: Submission, appended: Appended): void {
    if (!submission.sync) {
      submission.stored(appended);
      return;
    }
    this.#writer.sync().then(
      () => submission.stored(appended),
      (error: unknown) => submission.failed(error),
    );
  }
}

function sequenceTooOld({ producer, sequence }: ProducerStamp): ChukchaError {
  return new ChukchaError(
    'sequence_too_old',
    `Whether batch ${sequence} of producer ${producer} was stored is not known any more: send batches in the order of ` +
      'their sequences, or give the producer another name; nothing was stored now.',
    { fields: { producer, sequence } },
  );
}
