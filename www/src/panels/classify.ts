import { fill, h } from '../ui/dom.js';
import { textArea } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { percent, t } from '../i18n/index.js';
import type { LabelScore } from 'tareas';
import type { Host, Panel, Run, View } from './panel.js';
import { sampleTexts } from './sample-texts.js';

const SAMPLES = {
  trained: [
    'Rotate the blocks as they fall and fill whole lines. There are high scores, and two can play against each other.',
    'Fetches messages from IMAP servers, filters out spam and sorts what is left into folders.',
    'Draws and edits vector pictures, and saves them as SVG or PNG.',
    'Records several tracks at once, mixes them and adds echo, chorus and other effects.',
  ],
  others: [
    'I expected very little and got a film that I will think about for years.',
    'The room was cold, the staff were rude, and breakfast never came.',
    'It arrived on Tuesday. The box was blue.',
  ],
} as const;

const SHOWN = 8;

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
  const area = textArea({ label: () => texts().input, value: '', rows: 5, onInput: host.changed });
  const examples = sampleTexts<string>(host, {
    ...SAMPLES,
    read: () => area.value,
    write: (text) => (area.value = text),
  });
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
    // Of a model with many labels, those that count.
    fill(list, bars(last.slice(0, SHOWN), { name: texts().results }));
  }

  return {
    input: h('div', { class: 'stack' }, area.element, examples.element),
    output: list,
    answer,
    redraw,
    code: () => `await classify(text, { top_k: null });`,
    reset: examples.reset,
  };
}
