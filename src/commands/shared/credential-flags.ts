import { Flags } from '@oclif/core';
import type { Credentials } from '../../client/credentials.js';
import { environmentName } from './flags.js';

/** How a command shows a node who it is. */
export const credentialFlags = {
  token: Flags.string({
    description:
      'token to show the node; other users of the machine see it in the list of processes, so rather use the variable or --token-file',
    env: environmentName('token'),
    // The value of a variable would be shown as the default.
    noCacheDefault: true,
  }),
  'token-file': Flags.string({
    description: 'file with the token to show the node',
    env: environmentName('token-file'),
  }),
  ca: Flags.string({
    description:
      'file with the authority that has signed the certificate of the node, PEM (default: those of the system)',
    env: environmentName('ca'),
  }),
  'client-cert': Flags.string({
    description: 'file with the certificate to show the node, PEM',
    env: environmentName('client-cert'),
    dependsOn: ['client-key'],
  }),
  'client-key': Flags.string({
    description: 'file with its private key, PEM',
    env: environmentName('client-key'),
    dependsOn: ['client-cert'],
  }),
};

/** The values of {@link credentialFlags}. */
export interface CredentialValues {
  readonly token: string | undefined;
  readonly 'token-file': string | undefined;
  readonly ca: string | undefined;
  readonly 'client-cert': string | undefined;
  readonly 'client-key': string | undefined;
}

/** Reads the files that the flags name. Throws `invalid_option`; no message repeats a token. */
export async function readCredentials(values: CredentialValues): Promise<Credentials> {
  const { readText } = await import('./read-text.js');
  const files = ['token-file', 'ca', 'client-cert', 'client-key'] as const;
  const [tokenText, ca, cert, key] = await Promise.all(
    files.map(async (name) => {
      const path = values[name];
      return path === undefined ? undefined : await readText(path, name);
    }),
  );
  const token = values.token ?? tokenText?.trim();
  return {
    ...(token === undefined ? {} : { token }),
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  };
}

const credentialNames = ['token', 'token-file', 'ca', 'client-cert', 'client-key'] as const;

/** Takes the credentials out of options that have others too. */
export function splitCredentials<Options extends Readonly<Record<string, unknown>>>(
  options: Options,
): {
  readonly credentials: CredentialValues;
  readonly given: Omit<Options, (typeof credentialNames)[number]>;
} {
  const given: Record<string, unknown> = { ...options };
  const credentials: Record<string, unknown> = {};
  for (const name of credentialNames) {
    credentials[name] = given[name];
    delete given[name];
  }
  return {
    credentials: credentials as unknown as CredentialValues,
    given: given as Omit<Options, (typeof credentialNames)[number]>,
  };
}
