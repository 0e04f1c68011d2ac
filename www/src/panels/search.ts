import { fill, h } from '../ui/dom.js';
import { textArea, textField } from '../ui/controls.js';
import { bars } from '../ui/bars.js';
import { number, t } from '../i18n/index.js';
import { Embedder, cosine } from './embedder.js';
import type { Host, Panel, Run, View } from './panel.js';

const LINES = [
  'The cat slept on the warm windowsill all afternoon.',
  'Quarterly revenue rose by twelve percent.',
  'She forgot her umbrella and got soaked on the way home.',
  'The new bakery sells excellent sourdough bread.',
  'Our flight to Lisbon was delayed by three hours.',
  'The doctor told him to rest and drink plenty of water.',
  'A crash in the parser was fixed in the latest release.',
  'The orchestra rehearsed the symphony until midnight.',
  'Please reset your password using the link below.',
  'Heavy snow closed the mountain pass overnight.',
  'The children built a sandcastle near the water.',
  'Interest rates are expected to fall next year.',
];

/** More lines than this and the list is no longer read. */
const SHOWN = 8;

export const search: Panel<'feature-extraction'> = {
  id: 'search',
  task: 'feature-extraction',
  family: 'text',
  glyph: [
    ['M12 0a12 12 0 1 0 0 24a12 12 0 1 0 0-24zm0 5a7 7 0 1 1 0 14a7 7 0 1 1 0-14z', 'a'],
    ['M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6z', 'b'],
  ],
  live: true,
  create,
};

function create(host: Host): View<'feature-extraction'> {
  const texts = () => t().panels.search;
  const query = textField({ label: () => texts().query, value: 'bad weather', onInput: host.changed });
  const lines = textArea({
    label: () => texts().lines,
    hint: () => texts().linesHint,
    value: LINES.join('\n'),
    rows: 12,
    onInput: host.changed,
  });
  const list = h('div', {});
  const embedder = new Embedder();
  let ranked: { line: string; score: number }[] = [];

  async function answer(run: Run<'feature-extraction'>): Promise<string | null> {
    const wanted = query.value.trim();
    const unique = [
      ...new Set(
        lines.value
          .split('\n')
          .map((line) => line.trim())
          .filter(Boolean),
      ),
    ];
    if (!wanted || unique.length === 0) return null;
    await embedder.embed(run, unique);
    const [vector] = await embedder.embed(run, [wanted]);
    ranked = unique
      .map((line) => ({ line, score: cosine(vector!, embedder.vector(line)!) }))
      .sort((a, b) => b.score - a.score);
    embedder.keepOnly(unique);
    redraw();
    return texts().announce(ranked[0]!.line);
  }

  function redraw(): void {
    const shown = ranked.slice(0, SHOWN);
    const items = shown.map(({ line, score }) => ({
      label: line,
      score,
      value: number(score, 2),
      lang: 'en',
    }));
    fill(list, bars(items, { name: texts().results }));
  }

  return {
    input: h('div', { class: 'stack' }, query.element, lines.element),
    output: list,
    answer,
    redraw,
    reset: () => embedder.clear(),
    code: () => `await embed(lines, { pooling: 'mean', normalize: true });`,
  };
}
