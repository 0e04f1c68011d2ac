import { button } from './controls.js';
import { announce } from './live.js';
import { t } from '../i18n/index.js';
import type { Text } from './dom.js';

/** Copies what `text` gives at the click; says so on the button and to screen readers. */
export function copyButton(label: Text, text: () => string): HTMLButtonElement {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let done: string | null = null;
  const name = () => done ?? (typeof label === 'function' ? label() : label);
  const element = button(name, 'button small ghost', () => {
    void navigator.clipboard.writeText(text()).then(
      () => show(t().common.copied),
      () => show(t().common.copyFailed),
    );
  });
  function show(message: string): void {
    clearTimeout(timer);
    done = message;
    element.textContent = name();
    announce(message);
    timer = setTimeout(() => {
      done = null;
      element.textContent = name();
    }, 2000);
  }
  return element;
}
