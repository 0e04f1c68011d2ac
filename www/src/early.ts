/** Runs before the first paint, so that a remembered theme does not flash. Not a module: those come later. */
try {
  const theme = localStorage.getItem('tareas.theme');
  if (theme) document.documentElement.dataset['theme'] = theme;
} catch {
  // Storage refused: the system's theme it is.
}
