// @ts-check
import { open, readFile, rename } from 'node:fs/promises';

/**
 * A JSON document in a file. It stands for a database in these examples: `commit` puts everything in place at once or not
 * at all, and it is on disk then, as a transaction is.
 *
 * @template Content
 */
export class JsonStore {
  #path;

  /**
   * @param {string} path
   * @param {Content} content
   */
  constructor(path, content) {
    this.#path = path;
    this.content = content;
  }

  /**
   * @template Content
   * @param {string} path
   * @param {Content} empty what a store has that is new
   */
  static async open(path, empty) {
    const text = await readFile(path, 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return new JsonStore(
      path,
      text === undefined ? empty : /** @type {Content} */ (JSON.parse(text)),
    );
  }

  async commit() {
    const file = await open(`${this.#path}.new`, 'w');
    await file.writeFile(JSON.stringify(this.content));
    await file.sync();
    await file.close();
    await rename(`${this.#path}.new`, this.#path);
  }
}
