import { ChukchaError } from '../protocol/chukcha-error.js';

/** The files that say who may talk to a node. */
export interface SecurityOptions {
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

/** Reads the options, for a node that listens on the host. Throws `invalid_option`. */
export function securityOptions(
  options: Readonly<Record<string, unknown>>,
  host: string,
): SecurityOptions {
  const text = (name: string): string | undefined => options[name] as string | undefined;
  const [certPath, keyPath, clientCaPath] = [
    text('tls-cert'),
    text('tls-key'),
    text('tls-client-ca'),
  ];
  const [tokensPath, clusterSecretPath] = [text('tokens'), text('cluster-secret-file')];
  if ((certPath === undefined) !== (keyPath === undefined)) {
    throw invalid(
      'Of --tls-cert and --tls-key one is missing: TLS needs both, and none is needed without it.',
    );
  }
  const tls =
    certPath === undefined || keyPath === undefined
      ? undefined
      : { certPath, keyPath, clientCaPath };
  if (tls === undefined && clientCaPath !== undefined) {
    throw invalid(
      '--tls-client-ca asks for certificates, which needs TLS: give --tls-cert and --tls-key too.',
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
  if (options['insecure-listen'] !== true) refuseOpenAddress(host, tls !== undefined, tokensPath);
  return { tls, tokensPath, clusterSecretPath };
}

/** Whoever reaches the address could read and delete everything. */
function refuseOpenAddress(host: string, hasTls: boolean, tokensPath: string | undefined): void {
  if (isLoopback(host) || (hasTls && tokensPath !== undefined)) return;
  const missing = [
    ...(hasTls ? [] : ['TLS (--tls-cert and --tls-key)']),
    ...(tokensPath === undefined ? ['tokens (--tokens)'] : []),
  ];
  throw invalid(
    `Other machines can reach ${host}, and everybody there could read, write and delete messages, or listen to what passes: ` +
      `give ${missing.join(' and ')}, listen on 127.0.0.1, or say --insecure-listen when the network itself keeps strangers out.`,
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

function invalid(sentence: string): ChukchaError {
  return new ChukchaError('invalid_option', sentence);
}
