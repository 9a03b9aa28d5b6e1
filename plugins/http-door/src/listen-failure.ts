import { PluginError } from '@chukcha/plugin-api';

/** Says why an address cannot be listened on, and what to do. */
export function listenFailure(
  name: string,
  host: string,
  port: number,
  cause: NodeJS.ErrnoException,
): PluginError {
  const address = `${host}:${port}`;
  return new PluginError('operator', textOf(name, address, port, cause), { cause });
}

function textOf(name: string, address: string, port: number, cause: NodeJS.ErrnoException): string {
  switch (cause.code) {
    case 'EADDRINUSE':
      return `Another process listens on ${address} already: stop it, or choose another port, as in ${name}:${port + 1}.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${address} is not an address of this machine: choose one of its own, for example ${name}:127.0.0.1:${port}.`;
    case 'EACCES':
      return `This user may not listen on ${address}: choose a port above 1023, for example ${name}:8088.`;
    default:
      return `${address} cannot be listened on (${cause.message}): choose another address, for example ${name}:127.0.0.1:${port}.`;
  }
}
