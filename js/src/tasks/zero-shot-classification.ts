import { asTextOrTexts, splitArgs, type CallOptions, type TaskDefinition } from './common.js';

export interface ZeroShotOptions extends CallOptions {
  /** `{}` stands for the label. Default `This example is {}.` */
  hypothesis_template?: string;
  /** Whether several labels can be true at once. Default false. */
  multi_label?: boolean;
}

/** Labels and scores are sorted, best first. */
export interface ZeroShotResult {
  sequence: string;
  labels: string[];
  scores: number[];
}

export interface ZeroShotCall {
  (
    text: string,
    candidate_labels: string | readonly string[],
    options?: ZeroShotOptions,
  ): Promise<ZeroShotResult>;
  (
    texts: readonly string[],
    candidate_labels: string | readonly string[],
    options?: ZeroShotOptions,
  ): Promise<ZeroShotResult[]>;
}

export const zeroShotClassification: TaskDefinition = {
  id: 'zero-shot-classification',
  options: ['hypothesis_template', 'multi_label'],
  read(args) {
    const { inputs, options } = splitArgs(args, 2, 2);
    const sequences = asTextOrTexts(inputs[0], 'text');
    return { input: { sequences, candidate_labels: asTextOrTexts(inputs[1], 'candidate_labels') }, options };
  },
};
