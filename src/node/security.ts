import { readFile } from 'node:fs/promises';
import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { Access } from '../server/access/access.js';
import { ClusterSecret } from '../server/access/cluster-secret.js';
import type { TlsMaterial } from '../server/tls-material.js';
import type { SecurityOptions } from './security-options.js';
import { readTokenFile } from './token-file.js';
import { WatchedFiles } from './watched-files.js';

/** A shorter secret could be guessed. */
const secretLengthMin = 32;

/** Who may talk to a node, and under which certificate, from files that are taken in again when they change. */
export interface Security {
  readonly access: Access | undefined;
  readonly clusterSecret: ClusterSecret | undefined;
  /** The header that this node shows its peers. */
  readonly peerAuthorization: string | undefined;
  /** The certificate as it is now; `undefined` without TLS. */
  readonly tls: (() => TlsMaterial) | undefined;
  /** Called with each new certificate. */
  onTlsChanged(take: (material: TlsMaterial) => void): void;
  /** Takes all files in again; one that is not valid is refused, and the log says why. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** Reads the files. Throws `invalid_option`. */
export async function openSecurity(
  options: SecurityOptions,
  ports: { readonly clock: Clock; readonly log: Logger },
): Promise<Security> {
  const { tokensPath, clusterSecretPath, flagPrefix, tls: tlsPaths } = options;
  const watched: WatchedFiles[] = [];
  const access = tokensPath === undefined ? undefined : new Access([]);
  if (access !== undefined && tokensPath !== undefined) {
    watched.push(
      new WatchedFiles(
        {
          subject: 'tokens',
          paths: [tokensPath],
          load: async () => access.replace(await readTokenFile(tokensPath)),
        },
        ports,
      ),
    );
  }
  let material: TlsMaterial | undefined;
  const listeners: ((material: TlsMaterial) => void)[] = [];
  if (tlsPaths !== undefined) {
    const { certPath, keyPath, clientCaPath } = tlsPaths;
    const load = async (): Promise<void> => {
      const next = await readTls(certPath, keyPath, clientCaPath, flagPrefix);
      material = next;
      for (const take of listeners) take(next);
    };
    const paths = [certPath, keyPath, ...(clientCaPath === undefined ? [] : [clientCaPath])];
    watched.push(new WatchedFiles({ subject: 'certificates', paths, load }, ports));
  }
  const secret = clusterSecretPath === undefined ? undefined : await readSecret(clusterSecretPath);
  const close = async (): Promise<void> => {
    await Promise.all(watched.map((files) => files.close()));
  };
  try {
    for (const files of watched) await files.open();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    access,
    clusterSecret: secret === undefined ? undefined : new ClusterSecret(secret),
    peerAuthorization: secret === undefined ? undefined : `Bearer ${secret}`,
    tls: tlsPaths === undefined ? undefined : () => material as TlsMaterial,
    onTlsChanged: (take) => listeners.push(take),
    reload: async () => {
      await Promise.all(watched.map((files) => files.reload()));
    },
    close,
  };
}

async function readTls(
  certPath: string,
  keyPath: string,
  clientCaPath: string | undefined,
  flagPrefix: string,
): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    readSecurityFile(certPath, `${flagPrefix}tls-cert`),
    readSecurityFile(keyPath, `${flagPrefix}tls-key`),
    clientCaPath === undefined
      ? undefined
      : readSecurityFile(clientCaPath, `${flagPrefix}tls-client-ca`),
  ]);
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `The certificate ${certPath} and the key ${keyPath} cannot be used together (${errorMessage(cause)}): expected both as PEM, of one pair.`,
      { cause },
    );
  }
  return { cert, key, ca };
}

async function readSecret(path: string): Promise<string> {
  const secret = (await readSecurityFile(path, 'cluster-secret-file')).trim();
  if (secret.length >= secretLengthMin && secret.length <= 512 && /^[!-~]+$/.test(secret)) {
    return secret;
  }
  throw new ChukchaError(
    'invalid_option',
    `The secret in ${path} is not usable: expected ${secretLengthMin} to 512 visible ASCII characters, for example of \`openssl rand -base64 32\`.`,
  );
}

async function readSecurityFile(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ChukchaError(
      'invalid_option',
      `The file ${path} of --${option} cannot be read (${errorMessage(cause)}): check its path and its rights.`,
      { cause },
    );
  }
}
