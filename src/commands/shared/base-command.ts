import { Command } from '@oclif/core';
import { systemClock } from '../../common/clock.js';
import { createLineLogger, type Logger } from '../../common/logger.js';
import { errorCode, errorMessage } from '../../protocol/chukcha-error.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { exitCodes } from './exit-codes.js';
import { explainMistake, mistakenCommand } from './explain-mistake.js';

const misuseCodes: ReadonlySet<ErrorCode> = new Set([
  'invalid_option',
  'invalid_name',
  'plugin_not_found',
]);

/**
 * What all commands share: a failure is one sentence on standard error, and the exit code says whether
 * the words were wrong (2) or the work failed (1).
 */
export abstract class BaseCommand extends Command {
  /** Log lines of this process; they go to standard error, because standard output may carry messages. */
  protected readonly logger: Logger = createLineLogger({
    level: 'info',
    clock: systemClock,
    // On a terminal a line of progress may stand there; it is drawn again a second later.
    print: (line) => process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : line),
  });

  protected override async catch(
    error: Error & { readonly oclif?: { readonly exit?: number } },
  ): Promise<void> {
    const exit = error.oclif?.exit ?? exitCodeOf(error);
    // `--help` and `this.exit(0)` come by here as well.
    if (exit !== 0) {
      const { commandIDs } = this.config;
      const explained = explainMistake(error, mistakenCommand(this.ctor), commandIDs);
      this.logToStderr(`Error: ${explained ?? errorMessage(error)}`);
    }
    process.exitCode = exit;
  }

  /** Tells the person at the terminal, or the log of a service; never standard output. */
  protected say(sentence: string): void {
    this.logToStderr(sentence);
  }

  /** Prints data: as JSON when that was asked for, else as lines. */
  protected printData(data: unknown, lines: readonly string[], json: boolean): void {
    if (json) this.log(JSON.stringify(data));
    else for (const line of lines) this.log(line);
  }
}

function exitCodeOf(error: unknown): number {
  const code = errorCode(error);
  return code !== undefined && misuseCodes.has(code)
    ? exitCodes.misuse.code
    : exitCodes.failure.code;
}
