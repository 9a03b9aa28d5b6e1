import { connect, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Credentials } from './credentials.js';

/** Where a node listens, as its address says it. */
export interface NodeAddress {
  readonly hostname: string;
  readonly port: number;
  /** Both together, for the header `Host`. */
  readonly host: string;
  readonly isTls: boolean;
}

/** @param server an address that was checked, as `http://127.0.0.1:8080` */
export function nodeAddress(server: string): NodeAddress {
  const { hostname, port, host, protocol } = new URL(server);
  const isTls = protocol === 'https:';
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port === '' ? (isTls ? 443 : 80) : port),
    host,
    isTls,
  };
}

/**
 * Opens a connection whose bytes are read into buffers of the caller's, which saves the 64 KiB that Node makes for each
 * piece otherwise. What is written before it is open is sent then.
 */
export function connectNode(
  { hostname, port, isTls }: NodeAddress,
  { tls }: Credentials,
  onread: OnReadOpts,
): Socket {
  const address = { host: hostname, port, noDelay: true, onread };
  if (!isTls) return connect(address);
  // Unlike `https`, `tls` tells the name only when it is told to, and no certificate is for a number there.
  const name = isIP(hostname) === 0 ? { servername: hostname } : {};
  return connectTls({ ...address, ...name, ...tls });
}
