// @ts-check

/** @param {string} text */
function escapeHtml(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/**
 * @param {string} title
 * @param {string} body HTML
 */
function page(title, body) {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<nav><a href="/">Home</a> <a href="/books">Books</a> <a href="/figures">Figures</a></nav>
<h1>${escapeHtml(title)}</h1>
${body}
</html>
`;
}

/**
 * A page that is counted.
 *
 * @param {string} title
 * @param {string} text
 */
export function sitePage(title, text) {
  return page(
    title,
    `<p>${escapeHtml(text)}</p><button>Like it</button><script src="/site.js"></script>`,
  );
}

/** @param {import('./figures.js').Figure[]} figures */
export function figuresPage(figures) {
  const rows = figures.map(
    ({ minute, page: path, views, clicks }) =>
      `<tr><td>${escapeHtml(minute)}<td>${escapeHtml(path)}<td>${views}<td>${clicks}`,
  );
  return page(
    'Figures',
    `<table><tr><th>minute<th>page<th>views<th>clicks${rows.join('')}</table>`,
  );
}

/** Sends what happens on a page: what was not taken goes again, under the same id, with the next event or in 5 s. */
export const siteScript = `
let waiting = [];
async function send() {
  const events = waiting.splice(0, 100);
  if (events.length === 0) return;
  try {
    const answer = await fetch('/events', { method: 'POST', keepalive: true, body: JSON.stringify(events) });
    if (answer.status >= 500) throw new Error(await answer.text());
  } catch {
    waiting = [...events, ...waiting].slice(0, 1000);
    setTimeout(send, 5000);
  }
}
function note(kind) {
  const id = [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join('-');
  waiting.push({ id, kind, page: location.pathname });
  send();
}
addEventListener('click', ({ target }) => target.closest('button') && note('click'));
note('view');
`;
