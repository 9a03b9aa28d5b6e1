import { Flags } from '@oclif/core';
import { type SecurityOptions, securityOptions } from '../../../node/security-options.js';
import { ChukchaError } from '../../../protocol/chukcha-error.js';
import { environmentName } from '../flags.js';

/** Where a process tells how it stands, and who may ask. */
export const monitorFlags = {
  monitor: Flags.string({
    description:
      'address to answer /livez, /readyz, /status and /metrics on, as HOST:PORT (default: none)',
    env: environmentName('monitor'),
  }),
  'monitor-tokens': Flags.string({
    description: 'file with the tokens that /status and /metrics ask for, as for serve --tokens',
    env: environmentName('monitor-tokens'),
  }),
  'monitor-tls-cert': Flags.string({
    description: 'file with the certificate of the monitor, PEM',
    env: environmentName('monitor-tls-cert'),
  }),
  'monitor-tls-key': Flags.string({
    description: 'file with its private key, PEM',
    env: environmentName('monitor-tls-key'),
  }),
  'monitor-tls-client-ca': Flags.string({
    description: 'file with the authority that has to have signed the certificates of clients, PEM',
    env: environmentName('monitor-tls-client-ca'),
  }),
  'monitor-insecure-listen': Flags.boolean({
    description: 'let the monitor listen on an address that others reach without TLS and tokens',
    env: environmentName('monitor-insecure-listen'),
  }),
};

/** The values of {@link monitorFlags}. */
export type MonitorValues = Readonly<Partial<Record<keyof typeof monitorFlags, unknown>>>;

/** A monitor that is asked for. */
export interface MonitorOptions {
  readonly host: string;
  readonly port: number;
  readonly security: SecurityOptions;
}

const names = Object.keys(monitorFlags) as (keyof typeof monitorFlags)[];

/** Takes the options of the monitor out of options that have others too. */
export function splitMonitorValues<Options extends Readonly<Record<string, unknown>>>(
  options: Options,
): { readonly monitor: MonitorValues; readonly rest: Omit<Options, keyof typeof monitorFlags> } {
  const rest: Record<string, unknown> = { ...options };
  const monitor: Partial<Record<keyof typeof monitorFlags, unknown>> = {};
  for (const name of names) {
    if (rest[name] !== undefined) monitor[name] = rest[name];
    delete rest[name];
  }
  return { monitor, rest: rest as Omit<Options, keyof typeof monitorFlags> };
}

/**
 * Reads the options; `undefined` when no monitor is asked for. Throws `invalid_option`, also for an address that others
 * reach and that nothing guards, by the rule that holds for nodes.
 */
export function resolveMonitor(values: MonitorValues): MonitorOptions | undefined {
  const { monitor: address, ...others } = values;
  if (address === undefined) {
    const [other] = names.filter((name) => name in others && others[name as keyof typeof others]);
    if (other === undefined) return undefined;
    throw new ChukchaError(
      'invalid_option',
      `--${other} is for a monitor, and none is asked for: say --monitor HOST:PORT too.`,
    );
  }
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:\s]+):([0-9]{1,5})$/.exec(String(address));
  const [, name = '', digits = ''] = match ?? [];
  const port = Number(digits);
  if (match === null || port > 65_535) {
    throw new ChukchaError(
      'invalid_option',
      `--monitor ${JSON.stringify(address)} is not valid: expected HOST:PORT, for example 127.0.0.1:9600.`,
    );
  }
  const host = name.replace(/^\[(.*)\]$/, '$1');
  const security = securityOptions(others, host, {
    flagPrefix: 'monitor-',
    danger: 'see what runs here, and what fails',
  });
  return { host, port, security };
}
