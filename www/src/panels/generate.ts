import { number, t } from '../i18n/index.js';
import { textArea, toggle } from '../ui/controls.js';
import { h } from '../ui/dom.js';
import { slider } from '../ui/slider.js';
import type { Host, Panel, Run, View } from './panel.js';
import { sampleTexts } from './sample-texts.js';
import { EXPLAINED, lengthSlider, writer, written } from './writer.js';

const SAMPLES = {
  trained: ['This package contains the development files', 'libtext-markdown-perl:', 'ruby-json: Ruby'],
  others: [
    'The lighthouse keeper opened the door and saw',
    'Three things to know before you plant a lemon tree:',
    'Dear neighbours, I am writing to you because',
  ],
} as const;

export const generate: Panel<'text-generation'> = {
  id: 'generate',
  task: 'text-generation',
  family: 'generation',
  glyph: [
    ['M0 2h24v5h-24z', 'a'],
    ['M0 9.5h14v5h-14z', 'a'],
    ['M17 9.5h4v12h-4z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'text-generation'> {
  const texts = () => t().panels.generate;
  const area = textArea({ label: () => texts().input, value: '', rows: 4, onInput: host.changed });
  const examples = sampleTexts<string>(host, {
    ...SAMPLES,
    read: () => area.value,
    write: (text) => (area.value = text),
  });
  const onInput = host.changed;
  const greedy = toggle(
    () => texts().greedy,
    false,
    () => {
      for (const one of [temperature, topP, topK]) one.hidden = greedy.checked;
      host.changed();
    },
  );
  const temperature = slider({
    label: () => texts().temperature,
    min: 0.1,
    max: 2,
    step: 0.1,
    value: 0.8,
    show: (value) => number(value, 1),
    onInput,
  });
  const topP = slider({
    label: 'top_p',
    min: 0.05,
    max: 1,
    step: 0.05,
    value: 0.95,
    show: (value) => number(value, 2),
    onInput,
  });
  const topK = slider({
    label: 'top_k',
    min: 0,
    max: 100,
    step: 1,
    value: 50,
    show: (value) => (value === 0 ? texts().all : number(value)),
    onInput,
  });
  const length = lengthSlider(200, 60, onInput);
  /** A small model wanders off where a large one finds its way. */
  function tune(): void {
    const small = host.model.kind === 'embedded';
    temperature.value = small ? 0.4 : 0.8;
    topK.value = small ? 20 : 50;
    length.value = small ? 40 : 60;
  }
  tune();
  const output = writer<'text-generation'>(host);

  function options() {
    const sampling = greedy.checked
      ? { do_sample: false }
      : { do_sample: true, temperature: temperature.value, top_p: topP.value, top_k: topK.value };
    return { max_new_tokens: length.value, ...sampling, ...EXPLAINED };
  }

  async function answer(run: Run<'text-generation'>): Promise<string | null> {
    const prompt = area.value;
    if (!prompt) return null;
    // Untidied, each piece is a token's: there is no waiting for the end of a word.
    const given = { ...options(), clean_up_tokenization_spaces: false };
    return output.write(run, (pipe, call) => pipe.stream(prompt, { ...given, ...call }), prompt);
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      area.element,
      examples.element,
      greedy.element,
      h('div', { class: 'sliders' }, temperature.element, topP.element, topK.element, length.element),
      output.stop,
    ),
    output: output.element,
    answer,
    redraw: output.redraw,
    code: () => `for await (const { text } of generator.stream(prompt, ${written(options())})) show(text);`,
    reset() {
      tune();
      output.clear();
      examples.reset();
    },
  };
}
