import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { PluginError, type PluginOptions } from '@chukcha/plugin-api';

/** What a TLS server of Node takes. */
export interface TlsSettings {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
}

/**
 * Reads the files of the options `tls_cert`, `tls_key` and `tls_client_ca`; `undefined` when TLS is not
 * asked for. Throws a `PluginError` of kind `operator` for what cannot be used.
 */
export async function readTlsFiles(options: PluginOptions): Promise<TlsSettings | undefined> {
  const certPath = options['tls_cert'] as string | undefined;
  const keyPath = options['tls_key'] as string | undefined;
  const caPath = options['tls_client_ca'] as string | undefined;
  if (certPath === undefined && keyPath === undefined && caPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined) {
    throw new PluginError(
      'operator',
      'TLS needs both tls_cert and tls_key, but only one of them was given, or tls_client_ca alone: give the files of a certificate and of its key.',
    );
  }
  const cert = await readNamedFile('tls_cert', certPath);
  const key = await readNamedFile('tls_key', keyPath);
  const ca = caPath === undefined ? undefined : await readNamedFile('tls_client_ca', caPath);
  try {
    createSecureContext({ cert, key, ca });
  } catch (cause) {
    throw new PluginError(
      'operator',
      `The files of tls_cert (${certPath}) and tls_key (${keyPath}) cannot be used together (${(cause as Error).message}): expected a certificate and its key, both in the form PEM.`,
      { cause },
    );
  }
  const clientsNeedOne = ca !== undefined;
  return {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    requestCert: clientsNeedOne,
    rejectUnauthorized: clientsNeedOne,
  };
}

/** The content of a file that an option names; throws a `PluginError` of kind `operator` that names both. */
export async function readNamedFile(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new PluginError(
      'operator',
      `The file ${path} of the option ${option} could not be read (${(cause as Error).message}): name a file that this user may read.`,
      { cause },
    );
  }
}
