import { fill, h, on } from './dom.js';

const tip = h('div', { id: 'tip', role: 'tooltip', class: 'tip', hidden: true });
let owner: HTMLElement | null = null;

/** One tooltip for the page: shown on hover and focus, hidden by Escape, never in the pointer's way. */
export function tooltip<E extends HTMLElement>(element: E, rows: [name: string, value: string][]): E {
  element.setAttribute('aria-describedby', tip.id);
  const show = () => open(element, rows);
  const hide = () => {
    if (owner === element) close();
  };
  return on(element, { pointerenter: show, focus: show, pointerleave: hide, blur: hide });
}

export function mountTooltip(): void {
  document.body.append(tip);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close();
  });
  window.addEventListener('scroll', close, { passive: true, capture: true });
}

function open(element: HTMLElement, rows: [string, string][]): void {
  owner = element;
  fill(tip, h('dl', {}, ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))));
  tip.hidden = false;
  const target = element.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const left = Math.max(
    8,
    Math.min(target.left + target.width / 2 - box.width / 2, innerWidth - box.width - 8),
  );
  const above = target.top - box.height - 8;
  tip.style.setProperty('left', `${left}px`);
  tip.style.setProperty('top', `${above > 8 ? above : target.bottom + 8}px`);
}

function close(): void {
  tip.hidden = true;
  owner = null;
}
