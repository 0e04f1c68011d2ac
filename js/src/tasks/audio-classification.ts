import type { AudioInput } from '../media/audio.js';
import { readAudios } from './automatic-speech-recognition.js';
import { splitArgs, type CallOptions, type TaskDefinition } from './common.js';
import type { LabelScore } from './text-classification.js';

export interface AudioClassificationOptions extends CallOptions {
  /** How many labels, best first; null for all. Default 5. */
  top_k?: number | null;
  /** Default softmax. */
  function_to_apply?: 'sigmoid' | 'softmax' | 'none' | null;
}

export interface AudioClassificationCall {
  (audio: AudioInput, options?: AudioClassificationOptions): Promise<LabelScore[]>;
  (audios: readonly AudioInput[], options?: AudioClassificationOptions): Promise<LabelScore[][]>;
}

export const audioClassification: TaskDefinition = {
  id: 'audio-classification',
  options: ['top_k', 'function_to_apply'],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: inputs[0], options };
  },
  prepare: readAudios,
};
