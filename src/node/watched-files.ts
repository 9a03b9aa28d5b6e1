import { stat } from 'node:fs/promises';
import type { Clock, Timer } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { errorMessage } from '../protocol/chukcha-error.js';

/** How often the files are looked at: a withdrawn token is of no use after that time. */
const pollMs = 2_000;

export interface WatchedFilesOptions {
  readonly paths: readonly string[];
  /** Takes the files in again; when it throws, what was taken in before stays. */
  readonly load: () => Promise<void>;
  /** What the files are, as the subject of a sentence in the log. */
  readonly subject: string;
}

/** Takes files in again when one of them has changed, or when somebody asks for it. */
export class WatchedFiles {
  readonly #options: WatchedFilesOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  #seen = '';
  #timer: Timer | undefined;
  #isClosed = false;
  #loading: Promise<void> = Promise.resolve();

  constructor(
    options: WatchedFilesOptions,
    ports: { readonly clock: Clock; readonly log: Logger },
  ) {
    this.#options = options;
    this.#clock = ports.clock;
    this.#log = ports.log;
  }

  /** Takes the files in for the first time. Throws what that throws. */
  async open(): Promise<void> {
    this.#seen = await this.#look();
    await this.#options.load();
    this.#wait();
  }

  /** Takes the files in now, changed or not; what is wrong with them is logged. */
  reload(): Promise<void> {
    this.#loading = this.#loading.then(async () => {
      const { load, subject } = this.#options;
      try {
        this.#seen = await this.#look();
        await load();
        this.#log.info('Files were taken in again.', { files: subject });
      } catch (error) {
        this.#log.error('Changed files are refused; what was valid before stays in force.', {
          files: subject,
          error: errorMessage(error),
        });
      }
    });
    return this.#loading;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#loading;
  }

  #wait(): void {
    if (this.#isClosed) return;
    this.#timer = this.#clock.after(pollMs, () => {
      void this.#look()
        .then((now) => (now === this.#seen ? undefined : this.reload()))
        .finally(() => this.#wait());
    });
  }

  /** A file that was replaced has another number, also when its size and time are the same. */
  async #look(): Promise<string> {
    const words = this.#options.paths.map(async (path) => {
      const found = await stat(path, { bigint: true }).catch(() => undefined);
      return found && `${found.ino}:${found.size}:${found.mtimeNs}`;
    });
    return (await Promise.all(words)).join(' ');
  }
}
