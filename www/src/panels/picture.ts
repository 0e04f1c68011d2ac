import type { LabelScore } from 'tareas';
import { percent, t } from '../i18n/index.js';
import { bars } from '../ui/bars.js';
import { fill, h } from '../ui/dom.js';
import { Stage } from '../ui/picture.js';
import type { Host, Panel, View } from './panel.js';
import { pictured } from './pictured.js';

export const picture: Panel<'image-classification'> = {
  id: 'picture',
  task: 'image-classification',
  family: 'vision',
  glyph: [
    ['M2 3h20v18h-20z', 'a'],
    ['M5 17l5-7 4 5 2-2 3 4z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'image-classification'> {
  const texts = () => t().panels.picture;
  const stage = new Stage();
  const list = h('div', {});
  const sentence = ([best]: LabelScore[]) => (best ? texts().announce(best.label, percent(best.score)) : '');
  return pictured<'image-classification', LabelScore[]>({
    host,
    stage,
    sample: 1,
    call: (pipe, image, options) => pipe(image, options),
    watch: (pipe, source, options) => pipe.watch(source, options),
    draw(labels) {
      stage.draw(sentence(labels));
      fill(list, bars(labels, { name: texts().results }));
    },
    sentence,
    below: [list],
    code: {
      file: `await classify(image, { top_k: 5 });`,
      camera: `for await (const { result, fps } of classify.watch(video)) draw(result, fps);`,
    },
  });
}
