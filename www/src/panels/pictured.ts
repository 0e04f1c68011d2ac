import type { CallOptions, ImageInput, TaskCalls, Watched, WatchOptions, WatchSource } from 'tareas';
import { t } from '../i18n/index.js';
import { h, type Child } from '../ui/dom.js';
import { pictureSource, type Stage } from '../ui/picture.js';
import type { Host, Run, View } from './panel.js';

type Pictured = 'image-classification' | 'object-detection' | 'image-segmentation' | 'depth-estimation';

interface PicturedTask<T extends Pictured, R> {
  host: Host;
  stage: Stage;
  /** Which of the samples suits the task. */
  sample: number;
  call(pipe: TaskCalls[T], image: ImageInput, options: CallOptions): Promise<R>;
  watch(
    pipe: TaskCalls[T],
    source: WatchSource<ImageInput>,
    options: WatchOptions & CallOptions,
  ): AsyncGenerator<Watched<R>, void, void>;
  /** Draws the result over the picture that the stage has, and what stands below it. */
  draw(result: R): void;
  /** What a screen reader hears. */
  sentence(result: R): string;
  /** Stands under the picture. */
  below: Child[];
  /** `await name(image)`, and the same over a video. */
  code: { file: string; camera: string };
}

/** The view that the tasks on images have in common: one picture or a camera, and the answer beside it. */
export function pictured<T extends Pictured, R>(task: PicturedTask<T, R>): View<T> {
  const { host, stage, draw, sentence } = task;
  const source = pictureSource({
    model: () => host.model,
    first: task.sample,
    changed: host.changed,
    ask: host.ask,
  });
  let last: R | undefined;

  async function fromFile(run: Run<T>): Promise<string> {
    const { file, shown } = await source.file();
    last = await run((pipe, options) => task.call(pipe, file, options));
    stage.take(shown);
    draw(last);
    return sentence(last);
  }

  async function fromCamera(run: Run<T>): Promise<string | null> {
    last = undefined;
    await run(async (pipe, options) => {
      const camera = await source.open(options.signal);
      const { video, signal } = camera;
      try {
        for await (const { result, fps, latency } of task.watch(pipe, video, { ...options, signal })) {
          last = result;
          stage.take(video);
          draw(result);
          camera.rate(fps, latency);
          host.show();
        }
      } finally {
        camera.close();
      }
    }, 0);
    return last === undefined ? null : sentence(last);
  }

  return {
    input: source.element,
    output: h('div', { class: 'stack' }, stage.element, ...task.below),
    answer: (run) => (source.kind === 'file' ? fromFile(run) : fromCamera(run)),
    redraw() {
      if (last !== undefined) draw(last);
    },
    code: () => task.code[source.kind],
    goLive: source.goLive,
    reset: source.reset,
    askLabel: () => (source.kind === 'camera' ? t().pictures.start : null),
  };
}
