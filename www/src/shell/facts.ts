import { firstAnswer } from '../engine/clock.js';
import { megabytes, milliseconds, number, t } from '../i18n/index.js';
import { follow, h } from '../ui/dom.js';
import { slot } from './header.js';

/** Compressed bytes of the engine, measured when the site was built. */
declare const ENGINE_BYTES: number;

/** What the page has to say for itself, in three numbers. */
export function mountFacts(): void {
  const texts = () => t().site.facts;
  const value = h('dd', { 'data-testid': 'first-answer' });
  const timed = h(
    'div',
    {},
    h('dt', {}, () => texts().firstAnswer),
    value,
  );
  const show = () => {
    const { state, ms } = firstAnswer;
    timed.hidden = state === 'unasked';
    value.textContent = state === 'done' ? milliseconds(ms) : texts().waiting;
    if (state === 'done') value.dataset['ms'] = String(Math.round(ms));
  };
  firstAnswer.onChange = show;
  follow(value, show);
  slot('facts').replaceChildren(
    timed,
    h(
      'div',
      {},
      h('dt', {}, () => texts().engine),
      h('dd', {}, () => megabytes(ENGINE_BYTES)),
    ),
    h(
      'div',
      {},
      h('dt', {}, () => texts().servers),
      h('dd', {}, () => number(0)),
    ),
  );
}
