import { fill, h } from '../ui/dom.js';
import { textArea, samples, segmented } from '../ui/controls.js';
import { number, percent, t } from '../i18n/index.js';
import type { EntityGroup } from 'tareas';
import { tooltip } from '../ui/tooltip.js';
import { hueOf, humanLabel } from '../ui/labels.js';
import { copyButton } from '../ui/copy.js';
import type { Host, Panel, Run, View } from './panel.js';

const SAMPLES = [
  'Hi, this is Maria Lopez. My new address is 482 Cedar Street, Portland, and you can reach me at maria.lopez@example.com or 503-555-0147.',
  'Please wire the refund to account 004417829365, routing number 021000021, in the name of Thomas Baker. His passport is C03005988.',
  'Dear Ms. Anna Kowalski, your driver’s licence D1234567 was found near 77 Elm Avenue, Denver. Call 720-555-0199.',
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
  const area = textArea({ label: () => texts().input, value: SAMPLES[0]!, rows: 6, onInput: host.changed });
  const modes = segmented<Mode>({
    label: () => texts().mode,
    options: { highlight: () => texts().highlight, redact: () => texts().redact },
    value: 'highlight',
    onChange: redraw,
  });
  const marked = h('div', { class: 'marked', lang: 'en', 'data-testid': 'marked' });
  const legend = h('ul', { class: 'legend', 'aria-label': () => texts().legend });
  const copy = copyButton(
    () => texts().copy,
    () => redacted(last.text, last.found),
  );
  let last: { text: string; found: EntityGroup[] } = { text: '', found: [] };

  async function answer(run: Run<'token-classification'>): Promise<string | null> {
    const text = area.value;
    if (!text.trim()) return null;
    const found = await run((pipe, options) => pipe(text, { aggregation_strategy: 'simple', ...options }));
    last = { text, found };
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
        area.value = SAMPLES[index]!;
        host.ask();
      }),
    ),
    output: h('div', { class: 'stack' }, h('div', { class: 'row spread' }, modes.element, copy), marked, legend),
    answer,
    redraw,
    code: () => `await findEntities(text, { aggregation_strategy: 'simple' });`,
  };
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
