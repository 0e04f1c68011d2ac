import { fill, h } from '../ui/dom.js';
import { textArea, textField } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { percent, t } from '../i18n/index.js';
import type { Answer } from 'tareas';
import type { Host, Panel, Run, View } from './panel.js';
import { sampleTexts } from './sample-texts.js';

/** A question and the text that answers it. */
type Asked = readonly [question: string, context: string];

const AMAZON: Asked = [
  'How many species of trees are there?',
  'The Amazon rainforest covers most of the Amazon basin in South America. The basin spans seven million square kilometres, of which five and a half million are covered by forest. Sixty percent of it lies in Brazil, thirteen percent in Peru and ten percent in Colombia. It is home to an estimated 390 billion trees of about 16,000 species.',
];
const SAMPLES = { trained: [AMAZON], others: [AMAZON] } as const;
const CANDIDATES = 3;

export const question: Panel<'question-answering'> = {
  id: 'question',
  task: 'question-answering',
  family: 'text',
  glyph: [
    ['M0 0h24v10a10 10 0 0 1-10 10h-14z', 'a'],
    ['M0 24v-4h7z', 'a'],
    ['M12 5a5 5 0 1 0 0 10a5 5 0 1 0 0-10z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'question-answering'> {
  const texts = () => t().panels.question;
  const asked = textField({ label: () => texts().question, value: '', onInput: host.changed });
  const area = textArea({ label: () => texts().context, value: '', rows: 9, onInput: host.changed });
  const examples = sampleTexts<Asked>(host, {
    ...SAMPLES,
    read: () => [asked.value, area.value],
    write: ([wanted, text]) => {
      asked.value = wanted;
      area.value = text;
    },
  });
  const marked = h('div', { class: 'marked', lang: 'en', 'data-testid': 'marked' });
  const list = h('div', {});
  let context = '';
  let candidates: Answer[] = [];
  let picked = 0;
  asked.control.addEventListener('keydown', (event) => {
    if ((event as KeyboardEvent).key === 'Enter') host.ask();
  });

  async function answer(run: Run<'question-answering'>): Promise<string | null> {
    const wanted = asked.value.trim();
    const text = area.value;
    if (!wanted || !text.trim()) return null;
    const given = { top_k: CANDIDATES, handle_impossible_answer: false };
    const result = await run((pipe, options) => pipe(wanted, text, { ...given, ...options }));
    context = text;
    candidates = Array.isArray(result) ? result : [result];
    picked = 0;
    redraw();
    const best = candidates[0];
    return best?.answer ? texts().announce(best.answer, percent(best.score)) : texts().none;
  }

  function redraw(): void {
    const chosen = candidates[picked];
    if (chosen?.answer) {
      const { start, end } = chosen;
      fill(
        marked,
        context.slice(0, start),
        h('mark', { class: 'span-mark' }, context.slice(start, end)),
        context.slice(end),
      );
    } else {
      fill(marked, context);
    }
    const items = candidates.map(({ answer: label, score }) => ({
      label: label || texts().none,
      score,
      lang: 'en',
    }));
    const pick = (_: unknown, index: number) => {
      picked = index;
      redraw();
      list.querySelectorAll('button')[index]?.focus();
    };
    fill(
      list,
      h('h4', {}, texts().alternatives),
      bars(items, { name: texts().alternatives, onPick: pick, picked }),
    );
  }

  return {
    input: h('div', { class: 'stack' }, asked.element, area.element, examples.element),
    output: h('div', { class: 'stack' }, marked, list),
    answer,
    redraw,
    code: () => `await answerQuestion(question, context, { top_k: ${CANDIDATES} });`,
    reset: examples.reset,
  };
}
