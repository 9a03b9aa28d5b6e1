const storageKey = 'chukcha-token';

/** The token that goes with every call. It is kept for this tab, and gone when the tab is closed. */
export class Session {
  #token = readStored();

  /** Empty when there is none. */
  get token(): string {
    return this.#token;
  }

  set token(token: string) {
    this.#token = token;
    try {
      if (token === '') sessionStorage.removeItem(storageKey);
      else sessionStorage.setItem(storageKey, token);
    } catch {
      // Without storage the token holds until the page is loaded again, which is all that is lost.
    }
  }
}

function readStored(): string {
  try {
    return sessionStorage.getItem(storageKey) ?? '';
  } catch {
    return '';
  }
}
