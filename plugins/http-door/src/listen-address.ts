/** The options `host` and `port`, as far as an address names them. */
interface ListenAddress {
  readonly host?: string;
  readonly port?: number;
}

const addressPattern = /^(?:(?<host>\[[0-9A-Fa-f:.%]+\]|[^:[\]/]+):)?(?<port>[0-9]{1,5})$/;

/**
 * Reads what stands behind `<name>:`: `port`, `host:port` or `[IPv6]:port`, also in the form of a URL;
 * nothing leaves the defaults. Throws an `Error` for everything else.
 *
 * @param name what the plugin is called, for the sentence of the error
 * @param examplePort its usual port
 */
export function parseListenAddress(
  rest: string,
  name: string,
  examplePort: number,
): Readonly<Record<string, unknown>> {
  const text = rest.replace(/^\/\//, '').replace(/\/$/, '');
  if (text === '') return {};
  const { host, port } = addressPattern.exec(text)?.groups ?? {};
  if (port === undefined || Number(port) > 65_535) {
    throw new Error(
      `Expected ${name}:<port> or ${name}:<host>:<port> with a port from 0 to 65535, for example ${name}:0.0.0.0:${examplePort}.`,
    );
  }
  const address: ListenAddress = {
    ...(host === undefined ? {} : { host: host.replace(/^\[|\]$/g, '') }),
    port: Number(port),
  };
  return { ...address };
}
