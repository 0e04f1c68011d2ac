import { onFirstAnswer } from '../engine/clock.js';
import { megabytes, milliseconds, number, t } from '../i18n/index.js';
import { follow, h } from '../ui/dom.js';
import { slot } from './header.js';

/** Compressed bytes of the engine, measured when the site was built. */
declare const ENGINE_BYTES: number;

/** Three numbers, measured and not claimed. */
export function mountFacts(): void {
  const texts = () => t().site.facts;
  let first: number | null = null;
  const firstValue = h('dd', { 'data-testid': 'first-answer' });
  const show = () => (firstValue.textContent = first === null ? texts().waiting : milliseconds(first));
  follow(firstValue, show);
  onFirstAnswer((ms) => {
    first = ms;
    firstValue.dataset['ms'] = String(Math.round(ms));
    show();
  });
  slot('facts').replaceChildren(
    h('div', {}, firstValue, h('dt', {}, () => texts().firstAnswer)),
    h('div', {}, h('dd', {}, () => megabytes(ENGINE_BYTES)), h('dt', {}, () => texts().engine)),
    h('div', {}, h('dd', {}, () => number(0)), h('dt', {}, () => texts().uploads)),
  );
}
