// @ts-check
import { open as openFile } from 'node:fs/promises';
import { PluginError } from '@chukcha/plugin-api';

/**
 * @param {import('@chukcha/plugin-api').PluginOptions} options checked against the schema in hook.js
 * @param {import('@chukcha/plugin-api').OutputContext} _context
 * @returns {Promise<import('@chukcha/plugin-api').Output>}
 */
export async function open(options, _context) {
  const path = String(options.path);
  const file = await openFile(path, 'a').catch((cause) => {
    // Somebody has to mend it, so trying again by itself would not help: the kind is `operator`.
    throw new PluginError(
      'operator',
      `File ${path} cannot be written (${cause.message}): expected a directory with room for it; name another file with --set path=FILE.`,
      { cause },
    );
  });
  let closing;

  return {
    // The host decides how often it tries again: an error that is thrown here is enough.
    async write({ bytes }, signal) {
      signal.throwIfAborted();
      const { size } = await file.stat();
      try {
        await file.appendFile(bytes);
        // On disk before it counts as delivered: what is delivered may be deleted from the bus.
        await file.datasync();
      } catch (error) {
        // The same batch comes again as a whole; half of it must not stay.
        await file.truncate(size);
        throw error;
      }
      return undefined;
    },
    close: () => {
      closing ??= file.close();
      return closing;
    },
  };
}
