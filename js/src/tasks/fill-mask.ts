import { asTextOrTexts, splitArgs, type WholeTextOptions, type TaskDefinition } from './common.js';

export interface FillMaskOptions extends WholeTextOptions {
  /** How many tokens per mask, best first. Default 5. */
  top_k?: number;
  /** Score only these words. */
  targets?: string | readonly string[] | null;
}

export interface FillMaskPrediction {
  score: number;
  /** The token's id. */
  token: number;
  token_str: string;
  /** The text with the mask filled. */
  sequence: string;
}

type TwoMasks<M extends string> = `${string}${M}${string}${M}${string}`;

/**
 * One mask gives its predictions, several an array of predictions per mask. Literal texts are told
 * apart by type; for other strings ask `Array.isArray(result[0])`.
 */
export type FillMaskResult<T extends string> = string extends T
  ? FillMaskPrediction[] | FillMaskPrediction[][]
  : T extends TwoMasks<'[MASK]'> | TwoMasks<'<mask>'>
    ? FillMaskPrediction[][]
    : FillMaskPrediction[];

export interface FillMaskCall {
  <const T extends string>(text: T, options?: FillMaskOptions): Promise<FillMaskResult<T>>;
  <const T extends string>(texts: readonly T[], options?: FillMaskOptions): Promise<FillMaskResult<T>[]>;
}

export const fillMaskTask: TaskDefinition = {
  id: 'fill-mask',
  options: ['top_k', 'targets', 'truncation'],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: asTextOrTexts(inputs[0], 'text'), options };
  },
};
