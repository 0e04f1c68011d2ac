import { fill, h } from '../ui/dom.js';
import { textArea } from '../ui/controls.js';
import { number, t } from '../i18n/index.js';
import { Embedder, cosine } from './embedder.js';
import type { Host, Panel, Run, View } from './panel.js';

const SENTENCES = [
  'A man is playing a guitar on stage.',
  'Someone performs music in front of an audience.',
  'The stock market fell sharply today.',
  'Share prices dropped this afternoon.',
  'My grandmother grows tomatoes in her garden.',
];
const MOST = 8;
/** On the light theme's blue, black text has a contrast of 4.5 up to here and white text from here on. */
const WHITE_FROM = 0.72;

export const similarity: Panel<'feature-extraction'> = {
  id: 'similarity',
  task: 'feature-extraction',
  family: 'text',
  glyph: [
    ['M8 4a8 8 0 1 0 0 16a8 8 0 0 0 4-1.1a8 8 0 0 1 0-13.8a8 8 0 0 0-4-1.1z', 'a'],
    ['M16 4a8 8 0 1 1 0 16a8 8 0 0 1-4-1.1a8 8 0 0 0 0-13.8a8 8 0 0 1 4-1.1z', 'a'],
    ['M12 6.2a7.4 7.4 0 0 1 0 11.6a7.4 7.4 0 0 1 0-11.6z', 'b'],
  ],
  live: true,
  create,
};

function create(host: Host): View<'feature-extraction'> {
  const texts = () => t().panels.similarity;
  const area = textArea({
    label: () => texts().sentences,
    value: SENTENCES.join('\n'),
    rows: MOST,
    onInput: host.changed,
  });
  const grid = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': () => texts().table });
  const embedder = new Embedder();
  let rows: { sentence: string; vector: Float32Array }[] = [];

  async function answer(run: Run<'feature-extraction'>): Promise<string | null> {
    const lines = area.value.split('\n').map((line) => line.trim());
    const sentences = [...new Set(lines.filter(Boolean))].slice(0, MOST);
    if (sentences.length < 2) return null;
    const vectors = await embedder.embed(run, sentences);
    embedder.keepOnly(sentences);
    rows = sentences.map((sentence, index) => ({ sentence, vector: vectors[index]! }));
    redraw();
    const [a, b] = closest(vectors);
    return texts().announce(a + 1, b + 1);
  }

  function redraw(): void {
    const head = h(
      'tr',
      {},
      h('th', { scope: 'col' }, texts().sentence),
      ...rows.map((_, column) => h('th', { scope: 'col' }, number(column + 1))),
    );
    const body = rows.map(({ sentence, vector }, row) =>
      h(
        'tr',
        {},
        h(
          'th',
          { scope: 'row', lang: 'en' },
          h('span', { class: 'ordinal' }, `${row + 1} `),
          h('span', { class: 'sentence' }, sentence),
        ),
        ...rows.map((other) => cell(cosine(vector, other.vector))),
      ),
    );
    fill(grid, h('table', { class: 'heat' }, h('thead', {}, head), h('tbody', {}, ...body)));
  }

  return {
    input: area.element,
    output: grid,
    answer,
    redraw,
    reset: () => embedder.clear(),
    code: () => `await embed(sentences, { pooling: 'mean', normalize: true });`,
  };
}

function cell(value: number): HTMLElement {
  const element = h('td', {}, number(value, 2));
  element.style.setProperty('--heat', String(Math.max(0, Math.min(1, value))));
  if (value > WHITE_FROM) element.classList.add('hot');
  return element;
}

/** The indices of the most similar pair. */
function closest(vectors: Float32Array[]): [number, number] {
  let best: [number, number] = [0, 1];
  let top = -Infinity;
  for (let a = 0; a < vectors.length; a++) {
    for (let b = a + 1; b < vectors.length; b++) {
      const value = cosine(vectors[a]!, vectors[b]!);
      if (value > top) [top, best] = [value, [a, b]];
    }
  }
  return best;
}
