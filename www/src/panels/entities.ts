import { fill, h } from '../ui/dom.js';
import { textArea, samples, segmented } from '../ui/controls.js';
import { number, percent, t } from '../i18n/index.js';
import type { EntityGroup } from 'tareas';
import { tooltip } from '../ui/tooltip.js';
import { hueOf, humanLabel } from '../ui/labels.js';
import { copyButton } from '../ui/copy.js';
import type { Host, Panel, Run, View } from './panel.js';

const SAMPLES: [text: string, lang: string][] = [
  [
    'Hello, I am Maria Lopez. I moved to 482 Cedar Street in Portland last week; my phone is still 503-555-0147.',
    'en',
  ],
  [
    'Dear Ms. Anna Kowalski, your driver’s licence D1234567 was found near 77 Elm Avenue, Denver. Call 720-555-0199.',
    'en',
  ],
  ['Me llamo Lucía Fernández y vivo en la calle Mayor 12, Madrid. Mi teléfono es 612 345 678.', 'es'],
];

type Mode = 'highlight' | 'redact';

export const entities: Panel<'token-classification'> = {
  id: 'entities',
  task: 'token-classification',
  family: 'text',
  glyph: [
    ['M0 0h12a12 12 0 0 1-12 12z', 'a'],
    ['M24 24h-12a12 12 0 0 1 12-12z', 'a'],
    ['M24 0v12a12 12 0 0 1-12-12z', 'b'],
    ['M0 24v-12a12 12 0 0 1 12 12z', 'b'],
  ],
  live: true,
  create,
};

function create(host: Host): View<'token-classification'> {
  const texts = () => t().panels.entities;
  const area = textArea({
    label: () => texts().input,
    value: SAMPLES[0]![0],
    rows: 6,
    onInput: host.changed,
  });
  const modes = segmented<Mode>({
    label: () => texts().mode,
    options: { highlight: () => texts().highlight, redact: () => texts().redact },
    value: 'highlight',
    onChange: redraw,
  });
  const marked = h('div', { class: 'marked', 'data-testid': 'marked' });
  const legend = h('ul', { class: 'legend', 'aria-label': () => texts().legend });
  const copy = copyButton(
    () => texts().copy,
    () => redacted(last.text, last.found),
  );
  let last: { text: string; found: EntityGroup[] } = { text: '', found: [] };

  async function answer(run: Run<'token-classification'>): Promise<string | null> {
    const text = area.value;
    if (!text.trim()) return null;
    const groups = await run((pipe, options) => pipe(text, { aggregation_strategy: 'first', ...options }));
    const found = joinTouching(groups);
    last = { text, found };
    marked.lang = area.control.lang;
    redraw();
    return texts().announce(found.length);
  }

  function redraw(): void {
    const hide = modes.value === 'redact';
    fill(marked, ...pieces(last.text, last.found, hide));
    fill(legend, ...legendItems(last.found));
    if (last.text && last.found.length === 0) fill(legend, h('li', { class: 'quiet' }, texts().none));
  }

  return {
    input: h(
      'div',
      { class: 'stack' },
      area.element,
      samples(SAMPLES.length, (index) => {
        const [text, lang] = SAMPLES[index]!;
        area.value = text;
        area.control.lang = lang;
        host.ask();
      }),
    ),
    output: h(
      'div',
      { class: 'stack' },
      h('div', { class: 'row spread' }, modes.element, copy),
      marked,
      legend,
    ),
    answer,
    redraw,
    code: () => `await findEntities(text, { aggregation_strategy: 'first' });`,
  };
}

/** A model with only B- tags splits `a.b@example.com` at its punctuation; pieces of one kind that touch are one. */
function joinTouching(groups: EntityGroup[]): EntityGroup[] {
  const joined: EntityGroup[] = [];
  for (const group of groups) {
    const before = joined.at(-1);
    if (before && before.end === group.start && before.entity_group === group.entity_group) {
      before.end = group.end;
      before.word += group.word;
      before.score = Math.min(before.score, group.score);
    } else {
      joined.push({ ...group });
    }
  }
  return joined;
}

function pieces(text: string, found: EntityGroup[], hide: boolean): Node[] {
  const nodes: Node[] = [];
  let at = 0;
  for (const entity of found) {
    if (entity.start < at) continue;
    nodes.push(document.createTextNode(text.slice(at, entity.start)), mark(text, entity, hide));
    at = entity.end;
  }
  nodes.push(document.createTextNode(text.slice(at)));
  return nodes;
}

function mark(text: string, entity: EntityGroup, hide: boolean): HTMLElement {
  const label = humanLabel(entity.entity_group);
  const word = text.slice(entity.start, entity.end);
  const element = h(
    'mark',
    { class: hide ? 'entity redacted' : 'entity', tabindex: 0, 'data-label': entity.entity_group },
    hide ? '' : word,
    h('span', { class: 'entity-label' }, hide ? `[${label}]` : label),
  );
  element.style.setProperty('--hue', String(hueOf(entity.entity_group)));
  const texts = t().panels.entities;
  return tooltip(element, [
    [texts.type, label],
    [t().common.score, percent(entity.score)],
    [texts.offsets, `${number(entity.start)}–${number(entity.end)}`],
  ]);
}

function legendItems(found: EntityGroup[]): HTMLElement[] {
  const counts = new Map<string, number>();
  for (const { entity_group } of found) counts.set(entity_group, (counts.get(entity_group) ?? 0) + 1);
  return [...counts].map(([label, count]) => {
    const swatch = h('span', { class: 'swatch' });
    swatch.style.setProperty('--hue', String(hueOf(label)));
    return h('li', {}, swatch, humanLabel(label), h('span', { class: 'count' }, number(count)));
  });
}

function redacted(text: string, found: EntityGroup[]): string {
  let out = '';
  let at = 0;
  for (const entity of found) {
    if (entity.start < at) continue;
    out += `${text.slice(at, entity.start)}[${entity.entity_group}]`;
    at = entity.end;
  }
  return out + text.slice(at);
}
