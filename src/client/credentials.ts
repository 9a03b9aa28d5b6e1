/** What a client shows a node, and what it asks the node to show. */
export interface Credentials {
  /** The token that is sent with every call. */
  readonly token?: string;
  /** For addresses that begin with `https://`; PEM. */
  readonly tls?: {
    /** Who has to have signed the certificate of a node. @default the authorities of the system */
    readonly ca?: string;
    /** The certificate of the client with its key, where nodes ask for one. */
    readonly cert?: string;
    readonly key?: string;
  };
}

/** The header with the token. A token that no header can carry is refused by the caller of a connection. */
export function authorizationHeader({ token }: Credentials): Readonly<Record<string, string>> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}
