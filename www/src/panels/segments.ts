import { drawMasks, type Segment } from 'tareas';
import { number, percent, t } from '../i18n/index.js';
import { slider } from '../ui/slider.js';
import { fill, h, on, setAttribute } from '../ui/dom.js';
import { hueOf } from '../ui/labels.js';
import { Stage } from '../ui/picture.js';
import type { Host, Panel, View } from './panel.js';
import { pictured } from './pictured.js';

export const segments: Panel<'image-segmentation'> = {
  id: 'segments',
  task: 'image-segmentation',
  family: 'vision',
  glyph: [
    ['M2 2h20v9l-9-3-4 6-7-2z', 'a'],
    ['M2 15l8 2 4-6 8 3v8h-20z', 'b'],
  ],
  live: false,
  create,
};

/** By label, the same from frame to frame; a second one of a kind differs a little. */
function colorsOf(list: Segment[]): string[] {
  const seen = new Map<string, number>();
  return list.map(({ label }) => {
    const before = seen.get(label) ?? 0;
    seen.set(label, before + 1);
    return `hsl(${(hueOf(label) + 22 * before) % 360} 85% ${before % 2 ? 45 : 58}%)`;
  });
}

function create(host: Host): View<'image-segmentation'> {
  const texts = () => t().panels.segments;
  const stage = new Stage();
  const legend = h('ul', { class: 'legend segments', 'aria-label': () => texts().legend });
  const here = h('p', { class: 'hint' });
  const opacity = slider({
    label: () => texts().opacity,
    min: 0,
    max: 1,
    step: 0.05,
    value: 0.6,
    show: percent,
    onInput: paint,
  });
  let list: Segment[] = [];
  /** The one that stands out: under the pointer, or chosen in the legend. */
  let hovered: number | null = null;
  let chosen: number | null = null;

  const nameOf = ({ label, score }: Segment) => (score === null ? label : `${label}, ${percent(score)}`);
  const sentence = (found: Segment[]) =>
    found.length === 0 ? texts().none : texts().announce(found.map(({ label }) => label).join(', '));

  function paint(): void {
    const colors = colorsOf(list);
    const only = hovered ?? chosen;
    const strength = opacity.value;
    stage.draw(sentence(list), (context) => {
      for (const [index, segment] of list.entries()) {
        const faded = only !== null && only !== index;
        drawMasks(context, [segment], {
          color: () => colors[index]!,
          opacity: faded ? strength / 4 : strength,
        });
      }
    });
    const shown = only === null ? undefined : list[only];
    here.textContent = shown ? nameOf(shown) : list.length === 0 ? texts().none : texts().point;
  }

  function entries(): HTMLElement[] {
    const colors = colorsOf(list);
    return list.map((segment, index) => {
      const swatch = h('span', { class: 'swatch' });
      swatch.style.setProperty('background', colors[index]!);
      const { data } = segment.mask;
      let covered = 0;
      for (const value of data) covered += Number(value > 0);
      const part = covered / data.length;
      const item = on(
        h(
          'button',
          { type: 'button', class: 'chip' },
          swatch,
          h('span', { lang: 'en' }, segment.label),
          h('span', { class: 'count', title: texts().share }, `${number(100 * part, part < 0.1 ? 1 : 0)} %`),
        ),
        {
          click: () => {
            chosen = chosen === index ? null : index;
            for (const [at, other] of [...legend.querySelectorAll('button')].entries()) {
              setAttribute(other, 'aria-pressed', String(at === chosen));
            }
            paint();
          },
        },
      );
      setAttribute(item, 'aria-pressed', String(chosen === index));
      return h('li', {}, item);
    });
  }

  stage.onPoint((at) => {
    const under = (mask: Segment['mask']) =>
      at !== null &&
      mask.data[Math.min(at.y, mask.height - 1) * mask.width + Math.min(at.x, mask.width - 1)]! > 0;
    const index = list.findIndex(({ mask }) => under(mask));
    const next = index < 0 ? null : index;
    if (next === hovered) return;
    hovered = next;
    paint();
  });

  return pictured<'image-segmentation', Segment[]>({
    host,
    stage,
    sample: 0,
    call: (pipe, image, options) => pipe(image, options),
    watch: (pipe, source, options) => pipe.watch(source, options),
    draw(found) {
      if (found.length !== list.length) hovered = chosen = null;
      list = found;
      paint();
      // Under the reader's hands the buttons of the legend stay what they are.
      const focus = [...legend.querySelectorAll('button')].indexOf(
        document.activeElement as HTMLButtonElement,
      );
      fill(legend, ...entries());
      legend.querySelectorAll('button')[focus]?.focus();
    },
    sentence,
    below: [here, opacity.element, legend],
    code: {
      file: `await segment(image);`,
      camera: `for await (const { result, fps } of segment.watch(video)) draw(result, fps);`,
    },
  });
}
