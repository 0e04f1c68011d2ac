import { fill, h } from '../ui/dom.js';
import { samples, textArea } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { percent, t } from '../i18n/index.js';
import type { LabelScore } from 'tareas';
import type { Host, Panel, Run, View } from './panel.js';

const SAMPLES = [
  'I expected very little and got a film that I will think about for years.',
  'The room was cold, the staff were rude, and breakfast never came.',
  'It arrived on Tuesday. The box was blue.',
];

export const classify: Panel<'text-classification'> = {
  id: 'classify',
  task: 'text-classification',
  family: 'text',
  glyph: [
    ['M0 2h24v5h-24z', 'b'],
    ['M0 9.5h16v5h-16z', 'a'],
    ['M0 17h9v5h-9z', 'a'],
  ],
  live: true,
  create,
};

function create(host: Host): View<'text-classification'> {
  const texts = () => t().panels.classify;
  const area = textArea({ label: () => texts().input, value: SAMPLES[0]!, rows: 5, onInput: host.changed });
  const list = h('div', {});
  let last: LabelScore[] = [];

  async function answer(run: Run<'text-classification'>): Promise<string | null> {
    const text = area.value;
    if (!text.trim()) return null;
    last = await run((pipe, options) => pipe(text, { top_k: null, ...options }));
    redraw();
    return texts().announce(last[0]!.label, percent(last[0]!.score));
  }

  function redraw(): void {
    fill(list, bars(last, { name: texts().results }));
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      area.element,
      samples(SAMPLES.length, (index) => {
        area.value = SAMPLES[index]!;
        host.ask();
      }),
    ),
    output: list,
    answer,
    redraw,
    code: () => `await classify(text, { top_k: null });`,
  };
}
