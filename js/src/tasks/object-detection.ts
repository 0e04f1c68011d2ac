import type { CallOptions } from './common.js';
import { imageTask, type ImageCall } from './vision.js';

export interface ObjectDetectionOptions extends CallOptions {
  /** Scores have to exceed it. Default 0.5. */
  threshold?: number;
  /** Boxes as parts of the image, 0 to 1, instead of whole pixels. Default false. */
  percentage?: boolean;
}

/** Corners; they may lie outside the image. */
export interface Box {
  xmin: number;
  ymin: number;
  xmax: number;
  ymax: number;
}

export interface Detection {
  label: string;
  score: number;
  box: Box;
}

export type ObjectDetectionCall = ImageCall<ObjectDetectionOptions, Detection[]>;

export const objectDetection = imageTask('object-detection', ['threshold', 'percentage']);
