import { fill, h, on, uid } from '../ui/dom.js';
import { button, textArea, textField, toggle } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { percent, t } from '../i18n/index.js';
import type { ZeroShotResult } from 'tareas';
import type { Host, Panel, Run, View } from './panel.js';

const TEXT =
  'The new telescope has sent back its first pictures of a galaxy thirteen billion light years away.';
const LABELS = ['science', 'politics', 'sport', 'cooking'];

export const zeroShot: Panel<'zero-shot-classification'> = {
  id: 'zeroShot',
  task: 'zero-shot-classification',
  family: 'text',
  glyph: [
    ['M0 0l12 12h-12z', 'a'],
    ['M24 0l-12 12v-12z', 'b'],
    ['M24 24l-12-12h12z', 'a'],
    ['M0 24l12-12v12z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'zero-shot-classification'> {
  const texts = () => t().panels.zeroShot;
  const area = textArea({ label: () => texts().input, value: TEXT, rows: 4, onInput: host.changed });
  const labels = labelEditor(LABELS, host.changed);
  const template = textField({
    label: () => texts().template,
    hint: () => texts().templateHint,
    value: 'This example is {}.',
    onInput: host.changed,
  });
  const multi = toggle(() => texts().multi, false, host.changed);
  const list = h('div', {});
  let last: ZeroShotResult | undefined;

  async function answer(run: Run<'zero-shot-classification'>): Promise<string | null> {
    const text = area.value;
    const candidates = labels.values();
    if (!text.trim() || candidates.length === 0) return null;
    const given = { hypothesis_template: template.value, multi_label: multi.checked };
    last = await run((pipe, options) => pipe(text, candidates, { ...given, ...options }), candidates.length);
    redraw();
    return texts().announce(last.labels[0]!, percent(last.scores[0]!));
  }

  function redraw(): void {
    if (!last) return;
    const items = last.labels.map((label, index) => ({ label, score: last!.scores[index]! }));
    fill(list, bars(items, { name: texts().results }));
  }

  return {
    input: h('div', { class: 'stack' }, area.element, labels.element, template.element, multi.element),
    output: list,
    answer,
    redraw,
    code: () =>
      `await judge(text, ${JSON.stringify(labels.values())}, { multi_label: ${multi.checked} });`.replaceAll(
        '","',
        '", "',
      ),
  };
}

/** Labels as chips: Enter or a comma adds one, its cross removes it, and so does Backspace in the empty field. */
function labelEditor(initial: string[], onChange: () => void): { element: HTMLElement; values(): string[] } {
  const texts = () => t().panels.zeroShot;
  let values = [...initial];
  const chips = h('ul', { class: 'row chips', 'aria-label': () => texts().labels });
  const input = h('input', {
    type: 'text',
    id: uid('label'),
    autocomplete: 'off',
    lang: 'en',
    placeholder: () => texts().newLabel,
  });

  function set(next: string[]): void {
    values = next;
    fill(chips, ...values.map((value) => h('li', { class: 'tag', lang: 'en' }, value, remover(value))));
    onChange();
  }

  function remover(value: string): HTMLElement {
    const cross = on(
      h('button', { type: 'button', class: 'cross', 'aria-label': () => t().common.remove(value) }, '×'),
      {
        click: () => {
          set(values.filter((other) => other !== value));
          input.focus();
        },
      },
    );
    return cross;
  }

  function add(): void {
    const typed = input.value.split(',').map((label) => label.trim());
    input.value = '';
    set([...new Set([...values, ...typed.filter(Boolean)])]);
  }

  on(input, {
    keydown: (event) => {
      if (event.key === 'Enter' || event.key === ',') {
        event.preventDefault();
        add();
      } else if (event.key === 'Backspace' && input.value === '') {
        set(values.slice(0, -1));
      }
    },
  });
  // Not through set(): nothing has changed yet, and the panel is still being made.
  fill(chips, ...values.map((value) => h('li', { class: 'tag', lang: 'en' }, value, remover(value))));
  const element = h(
    'div',
    { class: 'field' },
    h('label', { for: input.id }, () => texts().labels),
    chips,
    h(
      'div',
      { class: 'row nowrap' },
      input,
      button(() => t().common.add, 'button', add),
    ),
  );
  return { element, values: () => values };
}
