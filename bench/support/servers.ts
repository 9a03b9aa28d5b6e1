import { join } from 'node:path';
import { ChildServer } from './child-server.js';

/**
 * A node as a user starts it, on a directory for its data.
 *
 * @param flags more for `serve`
 */
export function startNode(dataPath: string, flags: readonly string[] = []): Promise<ChildServer> {
  const words = ['bin/run.js', 'serve', '--data', dataPath, '--listen', '127.0.0.1:0'];
  return ChildServer.start([...words, ...flags]);
}

/** A plain Node HTTP server that appends every body to one file. */
export function startFloor(directory: string): Promise<ChildServer> {
  return ChildServer.start(['build/bench/support/floor-server.js', join(directory, 'floor')]);
}

/** A server that only counts bytes and sends prepared answers; see `raw-responder.ts`. */
export function startRawResponder(
  requestBytes: number,
  answerBodyBytes: number,
): Promise<ChildServer> {
  return ChildServer.start([
    'build/bench/support/raw-responder.js',
    String(requestBytes),
    String(answerBodyBytes),
  ]);
}
