/** The theme a person chose; without a choice the system decides. `theme-early.js` applies it at start. */
const STORAGE_KEY = 'roomcast.theme';

/** What is on the screen now. @returns {'light' | 'dark'} */
export function shownTheme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

export function toggleTheme() {
  const theme = shownTheme() === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // It holds until the page is closed.
  }
}
