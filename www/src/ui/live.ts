import { h } from './dom.js';

const region = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
let timer: ReturnType<typeof setTimeout> | undefined;

export function mountLiveRegion(): void {
  document.body.append(region);
}

/** Said by screen readers when they pause. Answers as you type come fast: only the last of a burst is said. */
export function announce(sentence: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => (region.textContent = sentence), 600);
}
