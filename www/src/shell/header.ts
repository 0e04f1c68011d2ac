import { LANGUAGES, language, setLanguage, t, type Language } from '../i18n/index.js';
import { recall, remember } from '../storage.js';
import { select } from '../ui/controls.js';
import { fill, follow, h, on, svg } from '../ui/dom.js';

type Theme = 'auto' | 'light' | 'dark';

/** Texts of the static page follow the language too: index.html holds the English ones. */
export function mountHeader(): void {
  document.documentElement.lang = language();
  follow(document.body, () => (document.title = t().site.title));
  translate('skip', () => t().site.skip);
  translate('heading', () => t().site.heading);
  translate('lead', () => t().site.lead);
  fill(
    slot('invite'),
    invitation('#/objects/live', 'camera'),
    invitation('#/speech/live', 'microphone'),
    invitation('#/entities', 'text'),
  );
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

/** The drawings of a camera, a microphone and a pen. */
const DRAWN = {
  camera: 'M3 7h4l2-3h6l2 3h4v13h-18zM12 9.5a4 4 0 1 0 0 8a4 4 0 1 0 0-8z',
  microphone: 'M9 2h6v12h-6zM4 10h2.5v6.500h11v-6.500h2.500v9h-6.750v3h-2.500v-3h-6.750z',
  text: 'M3 4h18v3.500h-7v13h-4v-13h-7z',
};

function invitation(href: string, what: keyof typeof DRAWN): HTMLElement {
  const drawing = svg('0 0 24 24', [[DRAWN[what], 'ink']], 'icon');
  const link = h('a', { class: 'button', href }, drawing, () => t().site.invite[what]);
  return on(link, {
    // Pressed again, it changes no address, and is still a wish.
    click: () => location.hash === href && window.dispatchEvent(new HashChangeEvent('hashchange')),
  });
}

export function slot(name: string): HTMLElement {
  return document.querySelector<HTMLElement>(`[data-slot="${name}"]`)!;
}

function translate(name: string, text: () => string): void {
  follow(slot(name), (element) => (element.textContent = text()));
}
