import type { AudioInput } from '../media/audio.js';
import { Tensor } from '../tensor.js';
import { readAudios } from './automatic-speech-recognition.js';
import { splitArgs, type CallOptions, type TaskDefinition } from './common.js';

/** What is returned of each frame. */
export type AudioFeature = 'last_hidden_state' | 'codes' | 'logits';

export interface AudioFeatureExtractionOptions<O extends AudioFeature = AudioFeature> extends CallOptions {
  /**
   * `last_hidden_state`: the encoder's vector; `codes`: the index in each codebook of a pretraining
   * checkpoint's quantizer; `logits`: those of a frame classifier's labels. Default `last_hidden_state`.
   */
  output?: O;
}

/** `[B, F, H]` or `[B, F, labels]`; for `codes` an array of frames, each with an index per codebook. */
export type AudioFeatureExtractionResult<O extends AudioFeature, Codes = number[][]> = O extends 'codes'
  ? Codes
  : Tensor;

export interface AudioFeatureExtractionCall {
  <O extends AudioFeature = 'last_hidden_state'>(
    audio: AudioInput,
    options?: AudioFeatureExtractionOptions<O>,
  ): Promise<AudioFeatureExtractionResult<O>>;
  /** Clips of one length, unless `output` is `codes`. */
  <O extends AudioFeature = 'last_hidden_state'>(
    audios: readonly AudioInput[],
    options?: AudioFeatureExtractionOptions<O>,
  ): Promise<AudioFeatureExtractionResult<O, number[][][]>>;
}

export const audioFeatureExtraction: TaskDefinition = {
  id: 'audio-feature-extraction',
  options: ['output'],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: inputs[0], options };
  },
  prepare: readAudios,
  result(raw) {
    if (Array.isArray(raw)) return raw;
    const { data, dims } = raw as { data: Float32Array; dims: number[] };
    return new Tensor('float32', data, dims);
  },
};
