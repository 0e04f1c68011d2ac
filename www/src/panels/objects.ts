import { drawBoxes, type Detection } from 'tareas';
import { percent, t } from '../i18n/index.js';
import { bars } from '../ui/bars.js';
import { slider } from '../ui/slider.js';
import { fill, h } from '../ui/dom.js';
import { hueOf } from '../ui/labels.js';
import { Stage } from '../ui/picture.js';
import type { Host, Panel, View } from './panel.js';
import { pictured } from './pictured.js';

export const objects: Panel<'object-detection'> = {
  id: 'objects',
  task: 'object-detection',
  family: 'vision',
  glyph: [
    ['M2 2h9v3h-6v6h-3zM22 22h-9v-3h6v-6h3z', 'a'],
    ['M8 8h8v8h-8z', 'b'],
  ],
  live: false,
  create,
};

/** What the model is asked for; the slider chooses among it. */
const LEAST = 0.05;

function create(host: Host): View<'object-detection'> {
  const texts = () => t().panels.objects;
  const stage = new Stage();
  const list = h('div', {});
  const least = slider({
    label: () => texts().least,
    min: LEAST,
    max: 1,
    step: 0.05,
    value: 0.5,
    show: percent,
    onInput: paint,
  });
  let last: Detection[] = [];

  const sureOf = (all: Detection[]) =>
    all.filter(({ score }) => score >= least.value).sort((a, b) => b.score - a.score);
  function sentence(all: Detection[]): string {
    const found = sureOf(all);
    return found.length === 0 ? texts().none : texts().announce(found.map(({ label }) => label).join(', '));
  }
  function paint(): void {
    const found = sureOf(last);
    stage.draw(sentence(last), (context) =>
      drawBoxes(context, found, {
        ...stage.size,
        color: (label) => `hsl(${hueOf(label)} 90% 65%)`,
        fontSize: Math.max(14, Math.round(context.canvas.width / 36)),
      }),
    );
    fill(list, found.length === 0 ? texts().none : bars(found, { name: texts().results }));
  }

  return pictured<'object-detection', Detection[]>({
    host,
    stage,
    sample: 0,
    call: (pipe, image, options) => pipe(image, { threshold: LEAST, ...options }),
    watch: (pipe, source, options) => pipe.watch(source, { threshold: LEAST, ...options }),
    draw(found) {
      last = found;
      paint();
    },
    sentence,
    below: [least.element, list],
    code: {
      file: `await detect(image, { threshold: 0.5 });`,
      camera: `for await (const { result, fps } of detect.watch(video)) draw(result, fps);`,
    },
  });
}
