import { h, on, setAttribute } from './dom.js';
import { percent } from '../i18n/index.js';

export interface Bar {
  label: string;
  /** 0 to 1. */
  score: number;
  /** What stands at the bar's end; the score in percent otherwise. */
  value?: string;
  lang?: string;
}

interface BarsOptions {
  name: string;
  /** Makes every bar a button. */
  onPick?: (bar: Bar, index: number) => void;
  /** The bar shown as chosen. */
  picked?: number;
}

/** A ranked list of labels with a bar each; the best one stands out. */
export function bars(list: Bar[], { name, onPick, picked }: BarsOptions): HTMLElement {
  const items = list.map((bar, index) => {
    const track = h('span', { class: 'bar-track', 'aria-hidden': 'true' }, h('span', { class: 'bar-fill' }));
    track.style.setProperty('--score', String(Math.max(0, Math.min(1, bar.score))));
    const content = [
      h('span', { class: 'bar-label', lang: bar.lang, dir: 'auto' }, bar.label),
      h('span', { class: 'bar-value' }, bar.value ?? percent(bar.score)),
      track,
    ];
    const item = h('li', { class: index === 0 ? 'bar best' : 'bar' });
    if (onPick) {
      const button = on(h('button', { type: 'button', class: 'bar-button' }, ...content), {
        click: () => onPick(bar, index),
      });
      setAttribute(button, 'aria-pressed', picked === undefined ? null : String(picked === index));
      item.append(button);
    } else {
      item.append(...content);
    }
    return item;
  });
  return h('ol', { class: 'bars', 'aria-label': name }, ...items);
}
