import { Flags } from '@oclif/core';
import { formatBytes, parseQuantity, quantityForms } from '../common/quantity.js';
import { ChukchaError } from '../protocol/chukcha-error.js';
import { BaseCommand } from './shared/base-command.js';
import { credentialFlags, readCredentials } from './shared/credential-flags.js';
import type { Finding } from './shared/doctor/finding.js';
import { heldBytesDefault } from './shared/doctor/node-checks.js';
import { environmentName, jsonFlag, serverFlag } from './shared/flags.js';
import { formatStep } from './shared/format-step.js';

export default class Doctor extends BaseCommand {
  static override summary = 'Look what is wrong here and say what to do.';

  static override description =
    'Looks at this machine, the directories that are used on it, the plugins, and the nodes with the others of their ' +
    'cluster. Changes nothing. Ends with 1 when something has failed, with 0 when there are warnings at most.';

  static override examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor --server http://10.0.0.5:8080 --etcd http://10.0.0.2:2379',
    '<%= config.bin %> doctor --json',
  ];

  static override flags = {
    server: serverFlag,
    ...credentialFlags,
    etcd: Flags.string({
      description: 'addresses of etcd, with commas between (default: as the nodes say)',
      env: environmentName('etcd'),
    }),
    data: Flags.string({
      description: 'data directory of a node on this machine',
      env: environmentName('data'),
    }),
    watch: Flags.integer({
      description: 'seconds between two looks at the groups, to see which of them move',
      default: 2,
      min: 0,
    }),
    held: Flags.string({
      description: 'size that a group may hold before it is a finding',
      default: formatBytes(heldBytesDefault),
    }),
    json: jsonFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Doctor);
    const heldBytes = parseQuantity('bytes', flags.held);
    if (heldBytes === undefined) {
      throw new ChukchaError(
        'invalid_option',
        `--held ${JSON.stringify(flags.held)} is not valid: expected ${quantityForms.bytes}.`,
      );
    }
    const { runDoctor } = await import('./shared/doctor/run-doctor.js');
    const findings = await runDoctor({
      config: this.config,
      servers: flags.server.split(','),
      credentials: await readCredentials(flags),
      etcdHosts: flags.etcd?.split(',') ?? [],
      dataDirectory: flags.data,
      watchMs: flags.watch * 1_000,
      heldBytes,
    });
    this.printData(findings, findings.flatMap(formatStep), flags.json);
    const count = (result: Finding['result']): number =>
      findings.filter((finding) => finding.result === result).length;
    this.say(`${count('failed')} failed, ${count('warning')} warnings, ${count('ok')} in order.`);
    if (count('failed') > 0) process.exitCode = 1;
  }
}
