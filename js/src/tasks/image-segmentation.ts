import type { RawImage } from '../media/image.js';
import type { CallOptions } from './common.js';
import { imageTask, type ImageCall } from './vision.js';

export interface ImageSegmentationOptions extends CallOptions {
  /** Default: panoptic where the model has it, else semantic. */
  subtask?: 'semantic' | 'instance' | 'panoptic' | null;
  /** Scores have to exceed it. Default 0.9. */
  threshold?: number;
  /** A mask's pixels reach it. Default 0.5. */
  mask_threshold?: number;
  /** The part of a mask that no other covers has to exceed it. Default 0.5. */
  overlap_mask_area_threshold?: number;
  /** Labels whose segments become one (panoptic). */
  label_ids_to_fuse?: readonly number[] | null;
  /** Height and width of the masks, per image. Default: the image's own. */
  target_sizes?: readonly (readonly [number, number])[] | null;
}

export interface Segment {
  label: string;
  /** Null for semantic segments. */
  score: number | null;
  /** One channel: 255 where the segment is, 0 elsewhere. */
  mask: RawImage;
}

export type ImageSegmentationCall = ImageCall<ImageSegmentationOptions, Segment[]>;

export const imageSegmentation = imageTask('image-segmentation', [
  'subtask',
  'threshold',
  'mask_threshold',
  'overlap_mask_area_threshold',
  'label_ids_to_fuse',
  'target_sizes',
]);
