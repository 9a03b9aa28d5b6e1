import { readFile } from 'node:fs/promises';
import type { Clock } from '../common/clock.js';
import type { Logger } from '../common/logger.js';
import type { EtcdCredentials } from '../coordination/etcd-port.js';
import { ChukchaError, errorMessage } from '../protocol/chukcha-error.js';
import { WatchedFiles } from './watched-files.js';

/** Who a node is for etcd, and the files that show it. */
export interface EtcdAccessOptions {
  readonly user: string | undefined;
  readonly passwordPath: string | undefined;
  readonly caPath: string | undefined;
  readonly certPath: string | undefined;
  readonly keyPath: string | undefined;
}

/** A line of etcd's own limit would be longer; this is a file that is no password. */
const passwordLengthMax = 1_024;

/** Reads the options that begin with `etcd`. Throws `invalid_option`; no message repeats a password. */
export function etcdAccessOptions(options: Readonly<Record<string, unknown>>): EtcdAccessOptions {
  const text = (name: string): string | undefined => options[name] as string | undefined;
  const access = {
    user: text('etcd-user'),
    passwordPath: text('etcd-password-file'),
    caPath: text('etcd-ca'),
    certPath: text('etcd-cert'),
    keyPath: text('etcd-key'),
  };
  const { user, passwordPath, caPath, certPath, keyPath } = access;
  if ((user === undefined) !== (passwordPath === undefined)) {
    throw invalid(
      'Of --etcd-user and --etcd-password-file one is missing: etcd wants both of them, or none.',
    );
  }
  if ((certPath === undefined) !== (keyPath === undefined)) {
    throw invalid('Of --etcd-cert and --etcd-key one is missing: etcd is shown both, or none.');
  }
  const etcd = text('etcd');
  if (etcd === undefined) {
    if (Object.values(access).every((value) => value === undefined)) return access;
    throw invalid('There are options for etcd, and --etcd is missing: give its addresses too.');
  }
  const isPlain = etcd.split(',').some((address) => !address.startsWith('https:'));
  if (isPlain && (caPath ?? certPath) !== undefined) {
    throw invalid(
      `--etcd-ca and --etcd-cert are for TLS, and ${etcd} is not all https: expected https://HOST:PORT everywhere.`,
    );
  }
  return access;
}

/** Refuses addresses with a password in them: addresses are shown in logs, states and the list of processes. */
export function refusePasswordInEtcd(etcd: unknown): void {
  if (typeof etcd !== 'string' || !etcd.includes('@')) return;
  throw invalid(
    'The addresses of --etcd have a user or a password in them, which would show wherever they are shown: give --etcd-user and --etcd-password-file.',
  );
}

/** Who the node is for etcd now; from files that are taken in again when they change, for new connections. */
export interface EtcdAccess {
  readonly current: () => EtcdCredentials;
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** Reads the files. Throws `invalid_option`. */
export async function openEtcdAccess(
  options: Partial<EtcdAccessOptions>,
  ports: { readonly clock: Clock; readonly log: Logger },
): Promise<EtcdAccess> {
  let current: EtcdCredentials = {};
  const load = async (): Promise<void> => {
    current = await readCredentials(options);
  };
  const paths = Object.entries(options).flatMap(([name, value]) => {
    return name === 'user' || value === undefined ? [] : [value as string];
  });
  const files = new WatchedFiles({ subject: 'credentials for etcd', paths, load }, ports);
  if (paths.length > 0) await files.open();
  return {
    current: () => current,
    reload: async () => {
      if (paths.length > 0) await files.reload();
    },
    close: () => files.close(),
  };
}

async function readCredentials({
  user,
  passwordPath,
  caPath,
  certPath,
  keyPath,
}: Partial<EtcdAccessOptions>): Promise<EtcdCredentials> {
  const [password, ca, cert, key] = await Promise.all([
    readOption(passwordPath, 'etcd-password-file'),
    readOption(caPath, 'etcd-ca'),
    readOption(certPath, 'etcd-cert'),
    readOption(keyPath, 'etcd-key'),
  ]);
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  } catch (cause) {
    throw invalid(
      `The files of --etcd-ca, --etcd-cert and --etcd-key cannot be used together (${errorMessage(cause)}): expected PEM, and the key of the certificate.`,
      cause,
    );
  }
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  if (user === undefined || password === undefined) return tls;
  return { ...tls, user, password: checkedPassword(password.toString(), passwordPath) };
}

/** Without the newline that editors and `echo` put behind it. */
function checkedPassword(text: string, path: string | undefined): string {
  const password = text.replace(/\r?\n$/, '');
  if (password.length > 0 && password.length <= passwordLengthMax && !/\p{Cc}/u.test(password)) {
    return password;
  }
  throw invalid(
    `The file ${path} of --etcd-password-file has no password: expected one line of 1 to ${passwordLengthMax} characters.`,
  );
}

async function readOption(path: string | undefined, option: string): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  return await readFile(path).catch((cause: unknown) => {
    throw invalid(
      `The file ${path} of --${option} cannot be read (${errorMessage(cause)}): check its path and its rights.`,
      cause,
    );
  });
}

function invalid(sentence: string, cause?: unknown): ChukchaError {
  return new ChukchaError('invalid_option', sentence, cause === undefined ? {} : { cause });
}
