import { Flags } from '@oclif/core';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials } from './shared/credential-flags.js';
import { jsonFlag } from './shared/flags.js';
import { relaxHeapLimit } from './shared/heap-limit.js';
import { openReportFile } from './shared/report-file.js';
import { runUntilSignal } from './shared/run-until-signal.js';

const phaseSecondsDefault = 5;
/** The shortest that tells whether anything grows. */
const soakSecondsDefault = 900;
/** A week. */
const secondsMax = 604_800;

/** Of what can be written and read at the most: what a soak holds, and what the latency from end to end is taken at. */
const soakRateDefault = '50%';
const phaseRateDefault = '20%';

export default class Bench extends BaseCommand {
  static override summary =
    'Measure what this machine, or a cluster, does with chukcha: rates, latencies, memory.';

  static override description =
    'Starts a node of its own in a temporary directory, or loads the nodes that --server names in a category of its ' +
    'own, `bench_...`, all of which is acknowledged in the end. Writes with one connection and with several, reads, ' +
    'writes single lines, writes with sync_each_write, with min_sync_replicas when that is given, and takes the ' +
    'latency from the write to a live reader. With --soak it holds one rate for long instead, while a group reads, ' +
    'compares and acknowledges everything, and tells whether anything grows. Ends with 0, or with 1 when something ' +
    'was lost or not read as it was written. Ctrl-C ends it early, with a report.';

  static override examples = [
    '<%= config.bin %> bench',
    '<%= config.bin %> bench --data /mnt/fast --batch 1MiB --report bench.json',
    '<%= config.bin %> bench --server http://10.0.0.5:8080,http://10.0.0.6:8080 --min-sync-replicas 1',
    '<%= config.bin %> bench --soak --seconds 3600 --rate 50% --report soak.json',
  ];

  static override flags = {
    // Not from the environment: what stands there is the bus that is worked with, and this is a lot of load.
    server: Flags.string({
      description:
        'address of a node to load, or of several nodes of a cluster with commas between (default: starts a node)',
      exclusive: ['data'],
    }),
    ...credentialFlags,
    data: Flags.string({
      description:
        'directory in which the node that is started gets one of its own, which is removed at the end (default: that of the system for temporary files)',
    }),
    soak: Flags.boolean({ description: 'hold one rate for long' }),
    seconds: Flags.integer({
      description: `how long each phase takes (default: ${phaseSecondsDefault}), or the soak as a whole (default: ${soakSecondsDefault})`,
      min: 1,
      max: secondsMax,
    }),
    rate: Flags.string({
      description: `what the soak holds (default: ${soakRateDefault}), or what the latency from end to end is taken at (default: ${phaseRateDefault}): as 100MiB/s, or as a share of the maximal rate, which is measured first`,
    }),
    writers: Flags.integer({
      description: 'how many write at a time, each over a connection of its own',
      default: 4,
      min: 1,
      max: 256,
    }),
    batch: Flags.string({ description: 'size of a batch', default: '64KiB' }),
    line: Flags.string({ description: 'size of a line, with its newline', default: '200' }),
    'sync-each-write': Flags.boolean({
      description: 'in a soak: have every write on disk before it counts as accepted',
      dependsOn: ['soak'],
    }),
    'min-sync-replicas': Flags.integer({
      description:
        'write also so that this many other nodes have each batch; in a soak, write only so',
      default: 0,
      min: 0,
    }),
    report: Flags.string({ description: 'file for the report as JSON' }),
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Bench);
    relaxHeapLimit();
    const { resolveBenchSizes } = await import('./shared/bench/bench-sizes.js');
    const { parseLoadRate } = await import('../load/load-rate.js');
    const { runBench } = await import('../load/run-bench.js');
    const { formatBench } = await import('./shared/bench/format-bench.js');
    const { join } = await import('node:path');
    const { soak: isSoak, server } = flags;
    const options = {
      ...resolveBenchSizes(flags),
      target: {
        server,
        credentials: await readCredentials(flags),
        dataDirectory: flags.data,
        cliPath: join(this.config.root, 'bin', 'run.js'),
      },
      isSoak,
      seconds: flags.seconds ?? (isSoak ? soakSecondsDefault : phaseSecondsDefault),
      writerCount: flags.writers,
      sync: flags['sync-each-write'],
      minSyncReplicas: flags['min-sync-replicas'],
      rate: parseLoadRate(flags.rate ?? (isSoak ? soakRateDefault : phaseRateDefault)),
      version: this.config.version,
      tell: (sentence: string) => this.say(sentence),
    };
    const reportFile = await openReportFile(flags.report);
    await runUntilSignal(async (signal) => {
      const report = await runBench(options, signal);
      await reportFile.write(report);
      this.printData(report, formatBench(report), flags.json);
      if (!report.passed) process.exitCode = 1;
    });
  }
}
