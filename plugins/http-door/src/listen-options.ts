import type { OptionSchema } from '@chukcha/plugin-api';

/** The options of everything that listens: where, and with which certificate. */
export function listenOptions(port: number): Readonly<Record<string, OptionSchema>> {
  return {
    host: {
      type: 'string',
      default: '127.0.0.1',
      description: 'The address to listen on. 0.0.0.0 or :: takes connections from other machines.',
    },
    port: {
      type: 'integer',
      minimum: 0,
      maximum: 65_535,
      default: port,
      description: 'The port to listen on; 0 takes any free one.',
    },
    tls_cert: {
      type: 'string',
      description: 'The file with the certificate of this server (PEM); with it, TLS is required.',
    },
    tls_key: {
      type: 'string',
      description: 'The file with the private key of tls_cert (PEM).',
    },
    tls_client_ca: {
      type: 'string',
      description:
        'A file with authorities (PEM); with it, clients must show a certificate that one of them signed.',
    },
  };
}
