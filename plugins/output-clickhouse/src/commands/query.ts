import { Args, Command, Flags } from '@oclif/core';

/** What a format is called in ClickHouse. */
const formatNames = {
  pretty: 'PrettyCompactMonoBlock',
  tsv: 'TabSeparatedWithNames',
  csv: 'CSVWithNames',
  json: 'JSONEachRow',
} as const;

const exitMisuse = 2;
const exitFailure = 1;

export default class Query extends Command {
  static override summary = 'Ask the ClickHouse that a sink keeps in a directory.';

  static override description =
    'Runs one statement in an embedded engine, on what `sink --to clickhouse:DIRECTORY` has written. Needs ' +
    'the package chdb. One process at a time has a directory: end the sink first. Servers have a client of their own.';

  static override examples = [
    '<%= config.bin %> query ./analytics "SHOW TABLES"',
    '<%= config.bin %> query ./analytics "SELECT count() FROM logs" --format json',
  ];

  static override args = {
    directory: Args.string({ description: 'directory of the engine', required: true }),
    statement: Args.string({ description: 'what to ask, in SQL', required: true }),
  };

  static override flags = {
    format: Flags.option({
      description:
        'how the answer is printed (default: pretty on a terminal, else tsv); a FORMAT in the statement wins',
      options: ['pretty', 'tsv', 'csv', 'json'] as const,
    })(),
    json: Flags.boolean({ description: 'the same as --format json', exclusive: ['format'] }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Query);
    const shown = flags.json ? 'json' : (flags.format ?? (process.stdout.isTTY ? 'pretty' : 'tsv'));
    const { queryDirectory } = await import('../query-directory.js');
    const bytes = await queryDirectory(args.directory, args.statement, formatNames[shown]);
    await new Promise<void>((resolve, reject) => {
      // A reader that has enough is no failure of the query.
      process.stdout.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EPIPE' ? resolve() : reject(error),
      );
      process.stdout.write(bytes, () => resolve());
    });
  }

  /** A failure is one sentence on standard error; the exit code says whether the words were wrong or the work failed. */
  protected override async catch(
    error: Error & { readonly oclif?: { readonly exit?: number } },
  ): Promise<void> {
    const exit = error.oclif?.exit ?? (error.name === 'RangeError' ? exitMisuse : exitFailure);
    // `--help` comes by here as well.
    if (exit !== 0) this.logToStderr(`Error: ${error.message.replace(/\nSee more help.*$/s, '')}`);
    process.exitCode = exit;
  }
}
