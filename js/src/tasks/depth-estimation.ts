import type { RawImage } from '../media/image.js';
import { Tensor } from '../tensor.js';
import type { CallOptions } from './common.js';
import { imageTask, type ImageCall } from './vision.js';

export interface Depth {
  /** `[height, width]` of the image, in the model's unit (metres for GLPN). */
  predicted_depth: Tensor;
  /** The same as one channel: the least depth is 0, the greatest 255. */
  depth: RawImage;
}

export type DepthEstimationCall = ImageCall<CallOptions, Depth>;

export const depthEstimation = imageTask('depth-estimation', [], (raw) => {
  const { predicted_depth, depth } = raw as {
    predicted_depth: { data: Float32Array; dims: number[] };
    depth: RawImage;
  };
  return { predicted_depth: new Tensor('float32', predicted_depth.data, predicted_depth.dims), depth };
});
