import { depthToImage, type Depth } from 'tareas';
import { number, t } from '../i18n/index.js';
import { fill, h } from '../ui/dom.js';
import { Stage } from '../ui/picture.js';
import type { Host, Panel, View } from './panel.js';
import { pictured } from './pictured.js';

export const depth: Panel<'depth-estimation'> = {
  id: 'depth',
  task: 'depth-estimation',
  family: 'vision',
  glyph: [
    ['M2 20l7-14h6l7 14z', 'a'],
    ['M11 2h2v20h-2z', 'b'],
  ],
  live: false,
  create,
};

function create(host: Host): View<'depth-estimation'> {
  const texts = () => t().panels.depth;
  const stage = new Stage();
  const [near, far] = [h('span', { class: 'count' }), h('span', { class: 'count' })];
  const here = h('p', { class: 'hint' });
  let last: Depth | null = null;

  function range({ predicted_depth }: Depth): [least: string, most: string] {
    let [least, most] = [Infinity, -Infinity];
    for (const value of predicted_depth.data as Float32Array) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return [number(least, 2), number(most, 2)];
  }
  const sentence = (result: Depth) => texts().announce(...range(result));

  stage.onPoint((at) => {
    if (!last) return;
    const { width, height } = last.depth;
    const value =
      at && last.predicted_depth.data[Math.min(at.y, height - 1) * width + Math.min(at.x, width - 1)];
    here.textContent = value === null ? texts().point : texts().here(number(Number(value), 2));
  });

  return pictured<'depth-estimation', Depth>({
    host,
    stage,
    sample: 0,
    call: (pipe, image, options) => pipe(image, options),
    watch: (pipe, source, options) => pipe.watch(source, options),
    draw(result) {
      last = result;
      const { data, width, height } = depthToImage(result);
      const layer = h('canvas', { width, height });
      layer.getContext('2d')!.putImageData(new ImageData(data, width, height), 0, 0);
      stage.draw(sentence(result), (context) =>
        context.drawImage(layer, 0, 0, context.canvas.width, context.canvas.height),
      );
      const [least, most] = range(result);
      fill(near, texts().near(least));
      fill(far, texts().far(most));
      here.textContent = texts().point;
    },
    sentence,
    below: [
      h('div', { class: 'ramp' }, near, h('span', { class: 'ramp-colours', 'aria-hidden': 'true' }), far),
      here,
    ],
    code: {
      file: `await measure(image);`,
      camera: `for await (const { result, fps } of measure.watch(video)) draw(result, fps);`,
    },
  });
}
