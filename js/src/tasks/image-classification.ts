import type { CallOptions } from './common.js';
import type { LabelScore } from './text-classification.js';
import { imageTask, type ImageCall } from './vision.js';

export interface ImageClassificationOptions extends CallOptions {
  /** How many labels, best first; null for all. Default 5. */
  top_k?: number | null;
  /** Default: sigmoid for several labels or a single one, softmax otherwise. */
  function_to_apply?: 'sigmoid' | 'softmax' | 'none' | null;
}

export type ImageClassificationCall = ImageCall<ImageClassificationOptions, LabelScore[]>;

export const imageClassification = imageTask('image-classification', ['top_k', 'function_to_apply']);
