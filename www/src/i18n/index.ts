import { en, type Dictionary } from './en.js';
import { es } from './es.js';
import { recall, remember } from '../storage.js';

export const LANGUAGES = { en: 'English', es: 'Español' } as const;
export type Language = keyof typeof LANGUAGES;

const DICTIONARIES: Record<Language, Dictionary> = { en, es };
const listeners: (() => void)[] = [];
let current: Language = initial();

/** The dictionary of the current language. */
export function t(): Dictionary {
  return DICTIONARIES[current];
}

export function language(): Language {
  return current;
}

export function setLanguage(next: Language): void {
  current = next;
  remember('language', next);
  document.documentElement.lang = next;
  for (const listener of listeners) listener();
}

export function onLanguage(listener: () => void): void {
  listeners.push(listener);
}

/** `1,234.5` or `1.234,5`. */
export function number(value: number, digits = 0): string {
  return value.toLocaleString(current, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function percent(value: number): string {
  const digits = value > 0.9995 || value < 0.0005 ? 2 : 1;
  return value.toLocaleString(current, { style: 'percent', maximumFractionDigits: digits });
}

export function megabytes(bytes: number): string {
  const mb = bytes / 1e6;
  return `${number(mb, mb < 10 ? 1 : 0)} MB`;
}

export function milliseconds(ms: number): string {
  if (ms >= 1000) return `${number(ms / 1000, 2)} s`;
  return `${number(ms, ms < 100 ? 1 : 0)} ms`;
}

function initial(): Language {
  const known = (code: string | null | undefined): code is Language => code != null && code in DICTIONARIES;
  const stored = recall('language');
  if (known(stored)) return stored;
  return navigator.languages.map((tag) => tag.slice(0, 2)).find(known) ?? 'en';
}
