// @ts-check
import { open as openFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PluginError } from '@chukcha/plugin-api';

const NEWLINE = 0x0a;

/** The key of the checkpoint: how many bytes of the file the bus has accepted. */
const acceptedKey = 'accepted';

/**
 * @param {import('@chukcha/plugin-api').PluginOptions} options checked against the schema in hook.js
 * @param {import('@chukcha/plugin-api').InputContext} context
 * @returns {Promise<import('@chukcha/plugin-api').Input>}
 */
export async function open(options, context) {
  const path = String(options.path);
  const file = await openFile(path).catch((cause) => {
    // Somebody has to mend it, so trying again by itself would not help: the kind is `operator`.
    throw new PluginError(
      'operator',
      `File ${path} cannot be read (${cause.message}): expected a file that is there; name it with --set path=FILE.`,
      { cause },
    );
  });
  const checkpoint = new Checkpoint(context.state);
  let closing;

  /**
   * The whole lines from `start` on, as many as a batch may have.
   *
   * @param {number} start
   */
  async function readLines(start) {
    const buffer = Buffer.alloc(context.batchBytesMax);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const end = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
    const lines = buffer.subarray(0, end);
    checkLength(end === 0 ? buffer.subarray(0, bytesRead) : lines, start);
    return lines;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} start
   */
  function checkLength(bytes, start) {
    for (let from = 0; from < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, from);
      const end = newline === -1 ? bytes.length : newline + 1;
      if (end - from > context.messageBytesMax) {
        throw new PluginError(
          'operator',
          `The line at byte ${start + from} of ${path} has more than ${context.messageBytesMax} bytes, which the bus does not take: cut it.`,
        );
      }
      from = end;
    }
  }

  return {
    async *batches(signal) {
      let offset = checkpoint.accepted;
      while (!signal.aborted) {
        const bytes = await readLines(offset);
        const start = offset;
        offset += bytes.length;
        if (bytes.length > 0) {
          checkpoint.begin(start, offset);
          yield {
            bytes,
            ack: () => checkpoint.accept(start),
            // Not accepted: the checkpoint stays in front of it, and the next run reads it again.
            nack: async () => {},
          };
        } else if (context.once) {
          return;
        } else {
          await sleep(Number(options.poll_interval_ms), undefined, { signal }).catch(() => {});
        }
      }
    },
    close: () => {
      closing ??= file.close();
      return closing;
    },
  };
}

/** Moves only over batches that are accepted together with everything in front of them. */
class Checkpoint {
  /** @param {import('@chukcha/plugin-api').PluginState} state */
  constructor(state) {
    this.state = state;
    this.accepted = Number(state.get(acceptedKey) ?? 0);
    /** @type {Map<number, { end: number, isAccepted: boolean }>} batches by their start */
    this.open = new Map();
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  begin(start, end) {
    this.open.set(start, { end, isAccepted: false });
  }

  /** @param {number} start */
  async accept(start) {
    const accepted = this.open.get(start);
    if (accepted !== undefined) accepted.isAccepted = true;
    for (;;) {
      const next = this.open.get(this.accepted);
      if (next === undefined || !next.isAccepted) break;
      this.open.delete(this.accepted);
      this.accepted = next.end;
    }
    await this.state.set(acceptedKey, this.accepted);
  }
}
