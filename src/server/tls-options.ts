import type { TlsOptions } from 'node:tls';
import type { TlsMaterial } from './tls-material.js';

/** How a server takes connections with this certificate; with an authority, nobody without a certificate of it. */
export function tlsOptions({ cert, key, ca }: TlsMaterial): TlsOptions {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    // A connection speaks HTTP/1.1 here, or the streams that begin as that.
    ALPNProtocols: ['http/1.1'],
    ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }),
  };
}
