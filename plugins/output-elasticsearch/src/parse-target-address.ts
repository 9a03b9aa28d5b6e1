/**
 * The options in what stands behind `elasticsearch:`, as in `//host:9200,host2:9200/index` or `https://host:9200/index`.
 * Errors never repeat the text, which may have a password.
 */
export function parseTargetAddress(rest: string): Readonly<Record<string, string>> {
  const parts = /^(?:(https?):)?\/\/(?:([^@/]*)@)?([^/@?#]+)(?:\/([^/?#]*))?\/?$/.exec(rest);
  if (parts === null) {
    throw new Error(
      'expected //host:9200/index, or https://host:9200/index, with several hosts separated by commas.',
    );
  }
  const [, scheme, credentials, hostList = '', index] = parts;
  const hosts = hostList.split(',').map((host) => (scheme ? `${scheme}://${host}` : host));
  return {
    hosts: hosts.join(','),
    ...(index ? { index: decode(index) } : {}),
    ...(credentials === undefined ? {} : parseCredentials(credentials)),
  };
}

function parseCredentials(credentials: string): Record<string, string> {
  const colon = credentials.indexOf(':');
  if (colon === -1) return { username: decode(credentials) };
  return {
    username: decode(credentials.slice(0, colon)),
    password: decode(credentials.slice(colon + 1)),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(
      'a % in it has to be followed by two hexadecimal digits; write %25 for itself.',
    );
  }
}
