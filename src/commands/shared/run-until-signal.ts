import { errorCode } from '../../protocol/chukcha-error.js';
import { exitCodes } from './exit-codes.js';

/**
 * Runs with a signal that aborts at the first SIGINT or SIGTERM, so that the work can drain and end. The
 * second one ends the process at once, with the exit code that shells give to that signal.
 */
export async function runUntilSignal(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    const { interrupted, terminated } = exitCodes;
    if (controller.signal.aborted)
      process.exit(name === 'SIGINT' ? interrupted.code : terminated.code);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    await run(controller.signal);
  } catch (error) {
    // What was given up because of the signal did what it was told.
    const isGivenUp = error === controller.signal.reason || errorCode(error) === 'aborted';
    if (!controller.signal.aborted || !isGivenUp) throw error;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
