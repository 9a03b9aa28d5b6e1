/** What an element may get: attributes by their names in HTML; `true` for one without a value, `false` for none. */
export type Attributes = Readonly<Record<string, string | boolean>>;

/** Makes an element. Children that are strings become text, never markup. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) setAttribute(made, key, value);
  made.append(...children);
  return made;
}

/** Makes an element of a drawing. */
export function drawing<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): SVGElementTagNameMap[Name] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) setAttribute(made, key, value);
  made.append(...children);
  return made;
}

/** Changes an attribute only when it differs, so that nothing is drawn or read out anew for nothing. */
export function setAttribute(target: Element, name: string, value: string | boolean): void {
  if (value === false) target.removeAttribute(name);
  else if (target.getAttribute(name) !== String(value === true ? '' : value)) {
    target.setAttribute(name, value === true ? '' : value);
  }
}

/** Changes a text only when it differs, so that selections stay and screen readers are not told again. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** An element of the page that has to be there. Throws an Error that names it when it is not. */
export function part<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`The page has no ${kind.name} with the id ${id}.`);
}
