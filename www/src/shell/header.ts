import { LANGUAGES, language, setLanguage, t, type Language } from '../i18n/index.js';
import { recall, remember } from '../storage.js';
import { select } from '../ui/controls.js';
import { fill, follow, h } from '../ui/dom.js';

type Theme = 'auto' | 'light' | 'dark';

/** Texts of the static page follow the language too: index.html holds the English ones. */
export function mountHeader(): void {
  document.documentElement.lang = language();
  follow(document.body, () => (document.title = t().site.title));
  translate('skip', () => t().site.skip);
  translate('heading', () => t().site.heading);
  translate('lead', () => t().site.lead);
  slot('preferences').replaceChildren(languageSelect(), themeSelect());
}

export function mountFooter(): void {
  fill(
    slot('footer'),
    h('p', {}, () => t().site.footer),
    h('p', {}, () => t().site.fonts),
  );
}

function languageSelect(): HTMLElement {
  const choice = select<Language>({
    label: () => t().site.language,
    options: LANGUAGES,
    value: language(),
    onChange: () => setLanguage(choice.value),
  });
  return choice.element;
}

function themeSelect(): HTMLElement {
  const themes = () => t().site.themes;
  const choice = select<Theme>({
    label: () => t().site.theme,
    options: { auto: () => themes().auto, light: () => themes().light, dark: () => themes().dark },
    value: (recall('theme') as Theme | null) ?? 'auto',
    onChange: () => {
      const theme = choice.value;
      remember('theme', theme === 'auto' ? null : theme);
      if (theme === 'auto') delete document.documentElement.dataset['theme'];
      else document.documentElement.dataset['theme'] = theme;
    },
  });
  return choice.element;
}

export function slot(name: string): HTMLElement {
  return document.querySelector<HTMLElement>(`[data-slot="${name}"]`)!;
}

function translate(name: string, text: () => string): void {
  follow(slot(name), (element) => (element.textContent = text()));
}
