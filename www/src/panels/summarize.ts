import { t } from '../i18n/index.js';
import { textArea } from '../ui/controls.js';
import { h } from '../ui/dom.js';
import type { Host, Panel, Run, View } from './panel.js';
import { sampleTexts } from './sample-texts.js';
import { beamSlider, lengthSlider, searchOptions, writer, written } from './writer.js';

const HARBOUR =
  'The harbour town had been without a ferry for eleven years when the council voted to buy one. The ship, built in 1987 and bought from an island three hundred kilometres to the north, carries forty cars and two hundred passengers. It makes the crossing in twenty-five minutes; the drive around the bay takes two hours. In its first summer it was full on most weekends, and the hotels on the far shore reported the best season they had known. Not everyone is content. Fishermen say that its wake disturbs the mussel beds, and the council has promised a study before the winter timetable is decided. Until then the ferry will slow down for the last kilometre, which adds four minutes to the crossing.';
const SAMPLES = { trained: [HARBOUR], others: [HARBOUR] } as const;

export const summarize: Panel<'summarization'> = {
  id: 'summarize',
  task: 'summarization',
  family: 'generation',
  glyph: [
    ['M0 2h24v3h-24z', 'b'],
    ['M0 7h24v3h-24z', 'b'],
    ['M0 12h24v3h-24z', 'b'],
    ['M0 18h15v4h-15z', 'a'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'summarization'> {
  const texts = () => t().panels.summarize;
  const area = textArea({ label: () => texts().input, value: '', rows: 9, onInput: host.changed });
  const examples = sampleTexts<string>(host, {
    ...SAMPLES,
    read: () => area.value,
    write: (text) => (area.value = text),
  });
  const beams = beamSlider(host.changed);
  const length = lengthSlider(200, 120, host.changed);
  const output = writer<'summarization'>(host);
  const options = () => searchOptions(beams.value, length.value);

  async function answer(run: Run<'summarization'>): Promise<string | null> {
    const text = area.value;
    if (!text.trim()) return null;
    const given = { ...options(), truncation: true };
    return output.write(run, (pipe, call) => pipe.stream(text, { ...given, ...call }));
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      area.element,
      examples.element,
      h('div', { class: 'sliders' }, beams.element, length.element),
      h('p', { class: 'hint' }, () => t().writing.beamsHint),
      output.stop,
    ),
    output: output.element,
    answer,
    redraw: output.redraw,
    code: () => `for await (const { text } of summarizer.stream(article, ${written(options())})) show(text);`,
    reset() {
      output.clear();
      examples.reset();
    },
  };
}
