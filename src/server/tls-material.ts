/** What a node shows of itself, and whom it lets in; PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Who has to have signed the certificates of clients and peers; `undefined` asks for none. */
  readonly ca: string | undefined;
}
