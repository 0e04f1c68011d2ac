import { t } from '../i18n/index.js';
import { textArea, textField } from '../ui/controls.js';
import { h } from '../ui/dom.js';
import type { Host, Panel, Run, View } from './panel.js';
import { sampleTexts } from './sample-texts.js';
import { beamSlider, lengthSlider, searchOptions, writer, written } from './writer.js';

const SAMPLES = {
  trained: [
    'The file could not be opened.',
    'Do you want to save the changes?',
    'Select the language of the program.',
  ],
  others: [
    'The bakery opens at seven, but the bread is best an hour later.',
    'If it rains tomorrow, we will stay at home and read.',
    'My grandmother kept every letter that she was ever sent.',
  ],
} as const;

export const translate: Panel<'translation'> = {
  id: 'translate',
  task: 'translation',
  family: 'generation',
  glyph: [
    ['M0 0h15v11h-15z', 'a'],
    ['M9 13h15v11h-15z', 'b'],
    ['M18 2h4v8h-4z', 'b'],
    ['M2 14h4v8h-4z', 'a'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'translation'> {
  const texts = () => t().panels.translate;
  const area = textArea({ label: () => texts().input, value: '', rows: 4, onInput: host.changed });
  const examples = sampleTexts<string>(host, {
    ...SAMPLES,
    read: () => area.value,
    write: (text) => (area.value = text),
  });
  const language = (label: () => string) =>
    textField({ label, value: '', hint: () => texts().languageHint, onInput: host.changed });
  const from = language(() => texts().from);
  const to = language(() => texts().to);
  const beams = beamSlider(host.changed);
  const length = lengthSlider(200, 100, host.changed);
  const output = writer<'translation'>(host);

  function options() {
    const [src_lang, tgt_lang] = [from.value.trim(), to.value.trim()];
    // One of the two alone is for the engine to complain about.
    return {
      ...(src_lang && { src_lang }),
      ...(tgt_lang && { tgt_lang }),
      ...searchOptions(beams.value, length.value),
    };
  }

  async function answer(run: Run<'translation'>): Promise<string | null> {
    const text = area.value;
    if (!text.trim()) return null;
    const given = options();
    return output.write(run, (pipe, call) => pipe.stream(text, { ...given, ...call }));
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      area.element,
      examples.element,
      h('div', { class: 'sliders' }, from.element, to.element, beams.element, length.element),
      h('p', { class: 'hint' }, () => t().writing.beamsHint),
      output.stop,
    ),
    output: output.element,
    answer,
    redraw: output.redraw,
    code: () => `for await (const { text } of translator.stream(text, ${written(options())})) show(text);`,
    reset() {
      output.clear();
      examples.reset();
    },
  };
}
