import { fill, h } from '../ui/dom.js';
import { button, textArea } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { percent, t } from '../i18n/index.js';
import type { FillMaskPrediction } from 'tareas';
import type { Host, Panel, Run, View } from './panel.js';
import { sampleTexts } from './sample-texts.js';

const MASK = '[MASK]';
const SAMPLES = {
  trained: [
    'This package contains the [MASK] files.',
    'A fast and lightweight web [MASK].',
    'It can read and [MASK] files in many formats.',
  ],
  others: [
    'Paris is the [MASK] of France.',
    'She opened her [MASK] because it had started to rain.',
    'The [MASK] barked all night, so nobody could [MASK].',
  ],
} as const;

export const fillMask: Panel<'fill-mask'> = {
  id: 'fillMask',
  task: 'fill-mask',
  family: 'text',
  glyph: [
    ['M0 0h11v11h-11z', 'a'],
    ['M13 0h11v11h-11z', 'a'],
    ['M0 13h11v11h-11z', 'a'],
    ['M18.5 13.5l5 5-5 5-5-5z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'fill-mask'> {
  const texts = () => t().panels.fillMask;
  const area = textArea({ label: () => texts().input, value: '', rows: 4, onInput: host.changed });
  const examples = sampleTexts<string>(host, {
    ...SAMPLES,
    read: () => area.value,
    write: (text) => (area.value = text),
  });
  const lists = h('div', { class: 'stack' });
  let last: { text: string; gaps: FillMaskPrediction[][] } = { text: '', gaps: [] };

  async function answer(run: Run<'fill-mask'>): Promise<string | null> {
    const text = area.value;
    if (!text.includes(MASK)) {
      last = { text, gaps: [] };
      redraw();
      return texts().noMask;
    }
    const found = await run((pipe, options) => pipe(text, { top_k: 6, ...options }));
    const gaps = Array.isArray(found[0])
      ? (found as FillMaskPrediction[][])
      : [found as FillMaskPrediction[]];
    last = { text, gaps };
    redraw();
    const best = gaps[0]![0]!;
    return texts().announce(best.token_str, percent(best.score));
  }

  function redraw(): void {
    if (last.gaps.length === 0) fill(lists, h('p', { class: 'notice' }, texts().noMask));
    else fill(lists, ...last.gaps.map(gapList));
  }

  function gapList(candidates: FillMaskPrediction[], gap: number): HTMLElement {
    const name = texts().results(gap + 1);
    const items = candidates.map(({ token_str: label, score }) => ({ label, score, lang: 'en' }));
    const list = bars(items, { name, onPick: ({ label }) => put(label, gap) });
    return h('div', {}, last.gaps.length > 1 && h('h4', {}, name), list);
  }

  /** The gap's mask in the text of the answer becomes the word; other gaps are asked again. */
  function put(word: string, gap: number): void {
    const gaps = last.text.split(MASK);
    const before = gaps.slice(0, gap + 1).join(MASK);
    const after = gaps.slice(gap + 1).join(MASK);
    // `##ing` is the end of a word: it joins what stands before it.
    area.value = word.startsWith('##') ? before.trimEnd() + word.slice(2) + after : before + word + after;
    area.control.focus();
    if (area.value.includes(MASK)) host.ask();
  }

  function insert(): void {
    const { selectionStart, selectionEnd } = area.control;
    area.control.setRangeText(MASK, selectionStart ?? 0, selectionEnd ?? 0, 'end');
    area.control.focus();
    host.changed();
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      area.element,
      h(
        'div',
        { class: 'row' },
        button(() => texts().insert, 'chip', insert),
        examples.element,
      ),
    ),
    output: lists,
    answer,
    redraw,
    code: () => `await fillMask(text, { top_k: 6 });`,
    reset: examples.reset,
  };
}
