import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { environmentName, jsonFlag } from './shared/flags.js';
import { logFlags } from './shared/log-flags.js';
import { openReportFile } from './shared/report-file.js';
import { runUntilSignal } from './shared/run-until-signal.js';

/** Seeds are told and typed by people. */
const seedMax = 1_000_000_000;

export default class Torture extends BaseCommand {
  static override summary =
    'Break a cluster at random while it is used, and prove that nothing is lost.';

  static override description =
    'Starts an etcd and some nodes of its own in temporary directories, and writes and reads. Meanwhile it kills and ' +
    'freezes nodes and etcd, cuts and slows the network between them, and fills a disk, as the seed says. Then it ' +
    'gives everything back, waits until all nodes hold the same and everything is read, acknowledged and gone, and ' +
    'reports what became of every batch. Ends with 0 only when nothing was lost, torn or came back, and nobody was let in ' +
    'who has no right to it, else with 1. ' +
    'Ctrl-C ends the faults early. Nothing outside of these directories is touched.';

  static override examples = [
    '<%= config.bin %> torture --seconds 60',
    '<%= config.bin %> torture --nodes 5 --seed 42 --report torture.json',
    '<%= config.bin %> torture --secure',
  ];

  static override flags = {
    nodes: Flags.integer({ description: 'number of nodes', default: 3, min: 2, max: 9 }),
    seconds: Flags.integer({ description: 'for how long things go wrong', default: 600, min: 1 }),
    seed: Flags.integer({
      description: 'what is done when; the same seed does the same (default: another each time)',
      min: 0,
      max: seedMax,
    }),
    'etcd-binary': Flags.string({
      description: 'etcd to run, on the PATH or as a path',
      default: 'etcd',
      env: environmentName('etcd-binary'),
    }),
    'min-sync-replicas': Flags.integer({
      description: 'how many peers the writers that ask for peers ask for',
      default: 1,
      min: 1,
    }),
    secure: Flags.boolean({
      description:
        'with TLS, certificates on both sides, tokens with rights by role and an etcd that asks who calls; tokens and certificates are replaced meanwhile, and calls without a right are tried',
    }),
    keep: Flags.string({
      description: 'directory to keep all data and logs in, which has to be empty',
    }),
    report: Flags.string({ description: 'file for the report as JSON' }),
    json: jsonFlag,
    ...logFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Torture);
    if (flags['min-sync-replicas'] >= flags.nodes) {
      const { ChukchaError } = await import('../protocol/chukcha-error.js');
      throw new ChukchaError(
        'invalid_option',
        `--min-sync-replicas is ${flags['min-sync-replicas']}, and each of ${flags.nodes} nodes has ${flags.nodes - 1} peers: expected at most that.`,
      );
    }
    const { runTorture } = await import('../torture/run-torture.js');
    const { formatReport } = await import('../torture/torture-report.js');
    const { join } = await import('node:path');
    const options = {
      nodeCount: flags.nodes,
      seconds: flags.seconds,
      seed: flags.seed ?? Math.floor(Math.random() * seedMax),
      etcdProgram: flags['etcd-binary'],
      minSyncReplicas: flags['min-sync-replicas'],
      isSecure: flags.secure,
      keepDirectory: flags.keep,
      cliPath: join(this.config.root, 'bin', 'run.js'),
      tell: (sentence: string) => this.say(sentence),
    };
    const reportFile = await openReportFile(flags.report);
    this.say(`Seed ${options.seed}.`);
    await runUntilSignal(async (signal) => {
      const report = await runTorture(options, signal);
      await reportFile.write(report);
      this.printData(report, formatReport(report), flags.json);
      if (!report.passed) process.exitCode = 1;
    });
  }
}
