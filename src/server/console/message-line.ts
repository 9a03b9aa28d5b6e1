import { element } from './element.js';
import { formatBytes } from './format-figures.js';
import type { ShownMessage } from './split-messages.js';

/** Of a longer message only the beginning is shown at first. */
const shortTextLength = 320;

/** Even when it is asked for, more of a message would make the page slow; `curl` has the rest. */
const longTextLength = 64 * 1024;

/** A line of a list for one message. Its text is text, whatever it looks like. */
export function messageLine(message: ShownMessage, mark: string): HTMLLIElement {
  const text = element('span', { class: 'text' }, message.text.slice(0, shortTextLength));
  const line = element('li', {}, element('span', { class: 'mark' }, mark), text);
  if (message.text === '') text.append(element('span', { class: 'quiet' }, '(empty)'));
  if (message.text.length > shortTextLength) line.append(moreButton(message, text));
  return line;
}

function moreButton(message: ShownMessage, text: HTMLElement): HTMLButtonElement {
  const size = formatBytes(message.byteCount);
  const isCut = message.text.length > longTextLength;
  const more = isCut
    ? `Show the first ${formatBytes(longTextLength)} of ${size}`
    : `Show all ${size}`;
  const button = element('button', { type: 'button', 'aria-expanded': 'false' }, more);
  button.addEventListener('click', () => {
    const isOpen = button.getAttribute('aria-expanded') === 'true';
    button.setAttribute('aria-expanded', String(!isOpen));
    button.textContent = isOpen ? more : 'Show less';
    text.textContent = message.text.slice(0, isOpen ? shortTextLength : longTextLength);
  });
  return button;
}
