// Runs before the first paint, so that the page never flashes in another theme.
try {
  const theme = localStorage.getItem('roomcast.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme applies.
}
