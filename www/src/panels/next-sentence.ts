import { fill, h } from '../ui/dom.js';
import { samples, textArea } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { percent, t } from '../i18n/index.js';
import type { NextSentenceScore } from 'tareas';
import type { Host, Panel, Run, View } from './panel.js';

const SAMPLES: [first: string, second: string][] = [
  ['The chef tasted the soup and frowned.', 'He added a pinch of salt and stirred again.'],
  ['The chef tasted the soup and frowned.', 'Photosynthesis turns carbon dioxide into sugar.'],
];

export const nextSentence: Panel<'next-sentence-prediction'> = {
  id: 'nextSentence',
  task: 'next-sentence-prediction',
  family: 'text',
  glyph: [
    ['M0 0h12a12 12 0 0 1 0 24h-12z', 'a'],
    ['M14 7l7 5-7 5z', 'b'],
    ['M4 7l7 5-7 5z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'next-sentence-prediction'> {
  const texts = () => t().panels.nextSentence;
  const first = textArea({
    label: () => texts().first,
    value: SAMPLES[0]![0],
    rows: 3,
    onInput: host.changed,
  });
  const second = textArea({
    label: () => texts().second,
    value: SAMPLES[0]![1],
    rows: 3,
    onInput: host.changed,
  });
  const verdict = h('div', { class: 'stack' });
  let last: NextSentenceScore[] = [];

  const wording = ({ label }: NextSentenceScore) => (label === 'is_next' ? texts().yes : texts().no);

  async function answer(run: Run<'next-sentence-prediction'>): Promise<string | null> {
    const [a, b] = [first.value.trim(), second.value.trim()];
    if (!a || !b) return null;
    const scores = await run((pipe, options) => pipe(a, b, options));
    last = [...scores].sort((x, y) => y.score - x.score);
    redraw();
    return texts().announce(wording(last[0]!), percent(last[0]!.score));
  }

  function redraw(): void {
    const items = last.map((score) => ({ label: wording(score), score: score.score }));
    fill(verdict, bars(items, { name: texts().results }));
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      first.element,
      second.element,
      samples(SAMPLES.length, (index) => {
        [first.value, second.value] = SAMPLES[index]!;
        host.ask();
      }),
    ),
    output: verdict,
    answer,
    redraw,
    code: () => `await follows(first, second);`,
  };
}
