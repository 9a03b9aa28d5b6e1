import type { Writable } from 'node:stream';
import type { ByteTarget } from './byte-target.js';

/** The capacity of a pipe on Linux: a larger piece would only wait in the stream. */
const pieceBytesMax = 64 * 1024;

/** A pipe, a terminal or any other stream. */
export function createStreamTarget(stream: Writable): ByteTarget {
  let failure: Error | undefined;
  // Each piece is copied here, so that a write that is given up leaves none of the host's bytes with the
  // stream. There is one write at a time, so one piece is enough.
  const scratch = Buffer.allocUnsafeSlow(pieceBytesMax);
  const onError = (error: Error): void => {
    failure ??= error;
  };
  // Without a listener, a reader that goes away between two writes would end the process.
  stream.on('error', onError);
  return {
    pieceBytesMax,
    write: (bytes) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        scratch.set(bytes);
        stream.write(scratch.subarray(0, bytes.length), (error) => {
          if (error) reject(error);
          else resolve(bytes.length);
        });
      }),
    release: () => {
      stream.off('error', onError);
    },
  };
}
