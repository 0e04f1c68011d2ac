import { imageBuffers, readImages, type ImageInput } from '../media/image.js';
import { watchFrames, type Watched, type WatchOptions, type WatchSource } from '../watch.js';
import { splitArgs, type TaskDefinition } from './common.js';

/** A pipeline on images: one gives one result, an array gives an array, and a video a stream of them. */
export interface ImageCall<Options, Result> {
  (image: ImageInput, options?: Options): Promise<Result>;
  (images: readonly ImageInput[], options?: Options): Promise<Result[]>;
  /**
   * Results for the newest frame of a video, again and again, until it ends or `signal` says so.
   *
   * ```ts
   * for await (const { result, fps } of detector.watch(video, { signal, maxFps: 10 })) draw(result);
   * ```
   */
  watch(
    source: WatchSource<ImageInput>,
    options?: Options & WatchOptions,
  ): AsyncGenerator<Watched<Result>, void, void>;
}

/** What the tasks on images have in common. */
export function imageTask(
  id: TaskDefinition['id'],
  options: readonly string[],
  one?: (raw: unknown) => unknown,
): TaskDefinition {
  return {
    id,
    options,
    read(args) {
      const { inputs, options } = splitArgs(args, 1, 1);
      return { input: inputs[0], options };
    },
    prepare: readImages,
    transfer: imageBuffers,
    members: (_, call) => ({
      watch(source: WatchSource<ImageInput>, { maxFps, ...options }: WatchOptions = {}) {
        const { signal } = options;
        const run = (frame: ImageInput) => call(frame, options);
        return watchFrames(source, run, {
          ...(signal ? { signal } : {}),
          ...(maxFps === undefined ? {} : { maxFps }),
        });
      },
    }),
    ...(one ? { result: (raw: unknown) => (Array.isArray(raw) ? raw.map(one) : one(raw)) } : {}),
  };
}
