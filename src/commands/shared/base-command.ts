import { Command, type Interfaces } from '@oclif/core';
import { logOptionsSchema } from '../../common/log-options-schema.js';
import type { LogLevel } from '../../common/logger.js';
import { escapeUnprintable } from '../../common/printable.js';
import { ChukchaError, errorCode, errorMessage } from '../../protocol/chukcha-error.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { CommandLog, type LogFormat } from './command-log.js';
import { exitCodes } from './exit-codes.js';
import { explainMistake, mistakenCommand } from './explain-mistake.js';
import { environmentName } from './flags.js';

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
  /** What this process tells; it goes to standard error, because standard output may carry messages. */
  protected readonly logger = new CommandLog();
  #isListening = false;

  /** As oclif's; a command that has the flags of the log logs from then on as they say. */
  protected override async parse<
    F extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    B extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    A extends Interfaces.OutputArgs<Interfaces.ArgInput>,
  >(
    options?: Interfaces.Input<F, B, A>,
    argv?: string[],
  ): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse<F, B, A>(options, argv);
    if (this.#logs) await this.takeLogOptions(parsed.flags);
    return parsed;
  }

  /**
   * Takes how to log out of options that may come from a file as well, and logs so from now on. Returns the others.
   * Throws `invalid_option`.
   */
  protected async takeLogOptions(
    options: Readonly<Record<string, unknown>>,
  ): Promise<Record<string, unknown>> {
    const { 'log-level': level, 'log-format': format, ...others } = options;
    this.#listenToProcess();
    const given = Object.entries({ 'log-level': level, 'log-format': format });
    const known = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    if (Object.keys(known).length === 0) {
      await this.logger.configure('info', 'text');
      return others;
    }
    const { resolveOptions } = await import('../../common/schema-options.js');
    const resolved = resolveOptions(logOptionsSchema, known);
    if (!resolved.ok) throw new ChukchaError('invalid_option', resolved.problems.join(' '));
    await this.logger.configure(
      resolved.options['log-level'] as LogLevel,
      resolved.options['log-format'] as LogFormat,
    );
    return others;
  }

  protected override async catch(
    error: Error & { readonly oclif?: { readonly exit?: number } },
  ): Promise<void> {
    const exit = error.oclif?.exit ?? exitCodeOf(error);
    // `--help` and `this.exit(0)` come by here as well.
    if (exit !== 0) {
      const { commandIDs } = this.config;
      const explained = explainMistake(error, mistakenCommand(this.ctor), commandIDs);
      // What is wrong with the flags is found before they say how to log.
      const wantsJson = this.#logs && process.env[environmentName('log-format')] === 'json';
      if (wantsJson && explained !== undefined) await this.logger.configure('info', 'json');
      this.logger.fail(explained ?? errorMessage(error), exit);
    }
    process.exitCode = exit;
  }

  /** Tells the person at the terminal, or the log of a service; never standard output. */
  protected say(sentence: string): void {
    this.logger.say(sentence);
  }

  /** Prints data: as JSON when that was asked for, else as lines. */
  protected printData(data: unknown, lines: readonly string[], json: boolean): void {
    if (json) this.log(JSON.stringify(data));
    // Names and texts may be those of somebody else's server, and the terminal obeys what it is sent.
    else for (const line of lines) this.log(escapeUnprintable(line));
  }

  get #logs(): boolean {
    return 'log-format' in (this.ctor.flags ?? {});
  }

  #listenToProcess(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    process.on('SIGUSR2', () => this.logger.toggleDebugging());
    // What Node prints by itself would stand between the lines of the log in a form of its own.
    process.removeAllListeners('warning');
    process.on('warning', ({ name, message }) => {
      // Nobody who runs the program can do anything about what will go with a later version.
      const level = name === 'DeprecationWarning' ? 'debug' : 'warn';
      this.logger[level]('Node.js warns of something.', { name, message });
    });
  }
}

function exitCodeOf(error: unknown): number {
  const code = errorCode(error);
  return code !== undefined && misuseCodes.has(code)
    ? exitCodes.misuse.code
    : exitCodes.failure.code;
}
