import { part, setAttribute, setText } from './element.js';
import type { Session } from './session.js';

/** The place for a token. It opens by itself when the node asks for one, and by the button at the top. */
export class SignIn {
  readonly #session: Session;
  readonly #changed: () => void;
  readonly #box = part('sign-in', HTMLElement);
  readonly #sentence = part('sign-in-sentence', HTMLElement);
  readonly #form = part('sign-in-form', HTMLFormElement);
  readonly #field = part('token', HTMLInputElement);
  readonly #forget = part('token-forget', HTMLButtonElement);
  readonly #toggle = part('sign-in-toggle', HTMLButtonElement);

  /** @param changed called when there is another token, or none any more */
  constructor(session: Session, changed: () => void) {
    this.#session = session;
    this.#changed = changed;
    this.#toggle.addEventListener('click', () => {
      if (this.#box.hidden)
        this.#open('The token goes with every call of this page, and is forgotten with this tab.');
      else this.close();
    });
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#use(this.#field.value.trim());
    });
    this.#forget.addEventListener('click', () => this.#use(''));
    this.#show();
  }

  /** Asks for a token, because the node has refused a call. */
  ask(status: number, sentence: string): void {
    const what =
      status === 401
        ? this.#session.token === ''
          ? 'This node asks for a token.'
          : 'The node does not know this token.'
        : 'This token has not the right to see the state of the node.';
    this.#open(`${what} It says: ${sentence}`);
  }

  close(): void {
    setAttribute(this.#box, 'hidden', true);
    this.#show();
  }

  #open(sentence: string): void {
    setText(this.#sentence, sentence);
    const wasHidden = this.#box.hidden;
    setAttribute(this.#box, 'hidden', false);
    this.#show();
    if (wasHidden) this.#field.focus();
  }

  #use(token: string): void {
    this.#session.token = token;
    this.#field.value = '';
    this.close();
    this.#changed();
  }

  #show(): void {
    const hasToken = this.#session.token !== '';
    setAttribute(this.#forget, 'hidden', !hasToken);
    setText(this.#toggle, hasToken ? 'Token set' : 'Token');
    setAttribute(this.#toggle, 'aria-expanded', String(!this.#box.hidden));
  }
}
