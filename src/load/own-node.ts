import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../common/clock.js';
import { type DiskFacts, readDiskFacts } from '../processes/describe-disk.js';
import { NodeProcess } from '../processes/node-process.js';
import { TemporaryDirectory } from '../processes/temporary-directory.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';

export interface OwnNodeOptions {
  /** Where it has its temporary directory; `undefined` takes that of the system. */
  readonly dataDirectory: string | undefined;
  /** The built command line of this package. */
  readonly cliPath: string;
}

/** A start takes a second where nothing else runs. */
const startMsMax = 60_000;

/** A node in a directory that is removed with it. */
export class OwnNode {
  readonly url: string;
  readonly disk: DiskFacts;
  readonly #process: NodeProcess;
  readonly #directory: TemporaryDirectory;
  readonly #ended = new AbortController();

  private constructor(process: NodeProcess, directory: TemporaryDirectory, disk: DiskFacts) {
    this.#process = process;
    this.#directory = directory;
    this.disk = disk;
    this.url = `http://127.0.0.1:${process.port}`;
    void process.changed.wait({ clock: systemClock }).then(() => this.#ended.abort());
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Starts it and waits until it takes calls. Throws `invalid_option` for a directory that cannot be used. */
  static async start({ dataDirectory, cliPath }: OwnNodeOptions): Promise<OwnNode> {
    const parent = dataDirectory ?? tmpdir();
    const directory = await TemporaryDirectory.make(parent, 'chukcha-bench-').catch(
      (cause: unknown) => {
        throw new ChukchaError(
          'invalid_option',
          `No directory can be made in ${parent} (${errorMessage(cause)}): expected --data with a directory that is there and may be written to.`,
          { cause },
        );
      },
    );
    const process = new NodeProcess({
      name: 'bench',
      cliPath,
      dataDirectory: join(directory.path, 'data'),
      logFile: join(directory.path, 'node.log'),
      // How much may be written is limited here.
      words: ['--disk-reserve', '0'],
    });
    try {
      await process.begin();
      if (!(await process.waitUntilReady(startMsMax))) {
        throw new Error(`The node did not start: ${process.lastLine}`);
      }
      return new OwnNode(process, directory, await readDiskFacts(directory.path));
    } catch (error) {
      await process.kill();
      await directory.remove();
      throw error;
    }
  }

  get processId(): number | undefined {
    return this.#process.processId;
  }

  get problems(): string[] {
    const errors = [...this.#process.errors].map(
      ([sentence, count]) => `The node said ${count} times: ${sentence}`,
    );
    return [...errors, ...this.#process.unexpectedEnds];
  }

  async freeBytes(): Promise<number> {
    return (await readDiskFacts(this.#directory.path)).freeBytes;
  }

  async remove(): Promise<void> {
    await this.#process.stop();
    await this.#directory.remove();
  }
}
