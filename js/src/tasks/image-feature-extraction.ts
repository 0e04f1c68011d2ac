import type { ImageInput } from '../media/image.js';
import { Tensor } from '../tensor.js';
import type { CallOptions } from './common.js';
import { imageTask } from './vision.js';

export interface ImageFeatureExtractionOptions extends CallOptions {
  /** One vector per image, the model's pooler's. Default false. */
  pool?: boolean;
}

/** `[B, H]` with `pool`; otherwise hidden states, `[B, tokens, H]` or `[B, C, height, width]`. */
export interface ImageFeatureExtractionCall {
  (images: ImageInput | readonly ImageInput[], options?: ImageFeatureExtractionOptions): Promise<Tensor>;
}

export const imageFeatureExtraction = imageTask('image-feature-extraction', ['pool'], (raw) => {
  const { data, dims } = raw as { data: Float32Array; dims: number[] };
  return new Tensor('float32', data, dims);
});
