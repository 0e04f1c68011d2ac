import { TareasError } from './errors.js';

/** Edits (insert, delete, replace) between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The word that was probably meant; null where none is near. */
export function nearest(word: string, known: readonly string[]): string | null {
  const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, '');
  const target = plain(word);
  let [best, least]: [string | null, number] = [null, Infinity];
  for (const name of known) {
    const other = plain(name);
    const close = other.startsWith(target) || target.startsWith(other) ? 1 : distance(target, other);
    if (close < least) [best, least] = [name, close];
  }
  return least <= Math.max(2, Math.floor(word.length / 3)) ? best : null;
}

/** Refuses options that nobody would read: a typo must not pass silently. */
export function checkOptions(
  options: object,
  known: readonly string[],
  what: string,
  foreign: Readonly<Record<string, string>> = {},
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const hint = nearest(name, known);
    const remedy = Object.hasOwn(foreign, name)
      ? foreign[name]!
      : hint
        ? `did you mean '${hint}'?`
        : `there are ${known.join(', ')}`;
    throw new TareasError('input', `There is no option '${name}' of ${what}`, { remedy });
  }
}
