import { ChukchaError } from '../protocol/chukcha-error.js';

/** The files that say who may talk to a server. */
export interface SecurityOptions {
  /** What stands in front of the names of the flags. */
  readonly flagPrefix: string;
  readonly tls:
    | {
        readonly certPath: string;
        readonly keyPath: string;
        readonly clientCaPath: string | undefined;
      }
    | undefined;
  readonly tokensPath: string | undefined;
  readonly clusterSecretPath: string | undefined;
}

/** What is guarded: how its flags begin, and what anybody could do there who is not kept out. */
export interface GuardedServer {
  readonly flagPrefix: string;
  readonly danger: string;
}

const guardedNode: GuardedServer = {
  flagPrefix: '',
  danger: 'read, write and delete messages, or listen to what passes',
};

/** Reads the options, for a server that listens on the host. Throws `invalid_option`. */
export function securityOptions(
  options: Readonly<Record<string, unknown>>,
  host: string,
  guarded: GuardedServer = guardedNode,
): SecurityOptions {
  const { flagPrefix } = guarded;
  const flag = (name: string): string => `--${flagPrefix}${name}`;
  const text = (name: string): string | undefined => {
    return options[`${flagPrefix}${name}`] as string | undefined;
  };
  const [certPath, keyPath, clientCaPath] = [
    text('tls-cert'),
    text('tls-key'),
    text('tls-client-ca'),
  ];
  const [tokensPath, clusterSecretPath] = [text('tokens'), text('cluster-secret-file')];
  if ((certPath === undefined) !== (keyPath === undefined)) {
    throw invalid(
      `Of ${flag('tls-cert')} and ${flag('tls-key')} one is missing: TLS needs both, and none is needed without it.`,
    );
  }
  const tls =
    certPath === undefined || keyPath === undefined
      ? undefined
      : { certPath, keyPath, clientCaPath };
  if (tls === undefined && clientCaPath !== undefined) {
    throw invalid(
      `${flag('tls-client-ca')} asks for certificates, which needs TLS: give ${flag('tls-cert')} and ${flag('tls-key')} too.`,
    );
  }
  if (
    tokensPath !== undefined &&
    options['etcd'] !== undefined &&
    clusterSecretPath === undefined
  ) {
    throw invalid(
      'A member of a cluster that asks for tokens takes peers by their secret: give all nodes the same --cluster-secret-file.',
    );
  }
  if (options[`${flagPrefix}insecure-listen`] !== true) {
    refuseOpenAddress(host, tls !== undefined, tokensPath, guarded);
  }
  return { flagPrefix, tls, tokensPath, clusterSecretPath };
}

/** Whoever reaches the address could read and delete everything. */
function refuseOpenAddress(
  host: string,
  hasTls: boolean,
  tokensPath: string | undefined,
  { flagPrefix, danger }: GuardedServer,
): void {
  if (isLoopback(host) || (hasTls && tokensPath !== undefined)) return;
  const missing = [
    ...(hasTls ? [] : [`TLS (--${flagPrefix}tls-cert and --${flagPrefix}tls-key)`]),
    ...(tokensPath === undefined ? [`tokens (--${flagPrefix}tokens)`] : []),
  ];
  throw invalid(
    `Other machines can reach ${host}, and everybody there could ${danger}: ` +
      `give ${missing.join(' and ')}, listen on 127.0.0.1, or say --${flagPrefix}insecure-listen when the network itself keeps strangers out.`,
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

function invalid(sentence: string): ChukchaError {
  return new ChukchaError('invalid_option', sentence);
}
