// Storage may be refused (private windows, sandboxed frames): a choice then lasts as long as the page.

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`tareas.${key}`);
  } catch {
    return null;
  }
}

/** `null` forgets. */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`tareas.${key}`);
    else localStorage.setItem(`tareas.${key}`, value);
  } catch {
    return;
  }
}
