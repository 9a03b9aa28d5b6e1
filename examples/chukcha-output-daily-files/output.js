// @ts-check
import { constants } from 'node:fs';
import { access, mkdir, open as openFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PluginError } from '@chukcha/plugin-api';

/** Below this there is soon no room: two batches of the largest size that a node takes by itself. */
const freeBytesMin = 8 * 1024 * 1024;

/**
 * @param {import('@chukcha/plugin-api').PluginOptions} options
 * @param {import('@chukcha/plugin-api').OutputContext} context
 * @returns {Promise<import('@chukcha/plugin-api').Output>}
 */
export async function open(options, context) {
  const directory = String(options.directory);
  await mkdir(directory, { recursive: true }).catch((cause) => {
    throw new PluginError(
      'operator',
      `Directory ${directory} cannot be made (${cause.message}): make it, or name another one with --set directory=DIR.`,
      { cause },
    );
  });
  return new DailyFiles(directory, context.category, options.sync !== false);
}

/**
 * @param {import('@chukcha/plugin-api').PluginOptions} options
 * @returns {AsyncGenerator<import('@chukcha/plugin-api').CheckStep>}
 */
export async function* check(options) {
  const directory = String(options.directory);
  const name = 'directory';
  try {
    await access(directory, constants.W_OK);
  } catch (error) {
    const isMissing = /** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT';
    yield isMissing
      ? { name, result: 'warning', detail: `${directory} is not there yet and will be made.` }
      : {
          name,
          result: 'failed',
          detail: `${directory} cannot be written.`,
          fix: `chmod u+w '${directory}'`,
        };
    return;
  }
  yield { name, result: 'ok', detail: `${directory} can be written.` };
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  yield {
    name: 'room',
    result: free < freeBytesMin ? 'failed' : 'ok',
    detail: `${free} bytes are free.`,
  };
}

/** One file is open at a time: that of the day on which messages are delivered, by UTC. */
class DailyFiles {
  /** @type {{ day: string, handle: import('node:fs/promises').FileHandle } | undefined} */
  #file;
  #directory;
  #category;
  #isSynced;

  /**
   * @param {string} directory
   * @param {string} category
   * @param {boolean} isSynced
   */
  constructor(directory, category, isSynced) {
    this.#directory = directory;
    this.#category = category;
    this.#isSynced = isSynced;
  }

  /**
   * @param {import('@chukcha/plugin-api').OutputBatch} batch
   * @param {AbortSignal} signal
   */
  async write({ bytes }, signal) {
    signal.throwIfAborted();
    const handle = await this.#today();
    const { size } = await handle.stat();
    try {
      await handle.appendFile(bytes);
      if (this.#isSynced) await handle.datasync();
    } catch (error) {
      // The same batch comes again as a whole; half of it must not stay.
      await handle.truncate(size);
      throw error;
    }
    return undefined;
  }

  async close() {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close();
  }

  async #today() {
    const day = new Date().toISOString().slice(0, 'YYYY-MM-DD'.length);
    if (this.#file?.day !== day) {
      await this.close();
      const path = join(this.#directory, `${this.#category}-${day}.log`);
      this.#file = { day, handle: await openFile(path, 'a') };
    }
    return this.#file.handle;
  }
}
