const storageKey = 'chukcha-theme';

const themes = ['system', 'light', 'dark'] as const;

export type Theme = (typeof themes)[number];

/** What was chosen in this browser before. */
export function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem(storageKey);
    return themes.find((theme) => theme === stored) ?? 'system';
  } catch {
    return 'system';
  }
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
}

/** Lets the list of themes choose, for now and later. */
export function connectThemeSwitch(list: HTMLSelectElement): void {
  list.value = storedTheme();
  list.addEventListener('change', () => {
    const theme = themes.find((known) => known === list.value) ?? 'system';
    applyTheme(theme);
    try {
      localStorage.setItem(storageKey, theme);
    } catch {
      // Without storage the choice holds until the page is loaded again.
    }
  });
}
