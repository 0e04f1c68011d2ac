import {
  asPair,
  asText,
  isRecord,
  mapInput,
  splitArgs,
  type WholeTextOptions,
  type TaskDefinition,
  type TextPair,
} from './common.js';

export type TextClassificationInput = string | TextPair;

export interface TextClassificationOptions<K extends number | null = number | null> extends WholeTextOptions {
  /** How many labels, best first; null for all. Default 1. */
  top_k?: K;
  /** Default: sigmoid for several labels or a single one, softmax otherwise, none for regression. */
  function_to_apply?: 'sigmoid' | 'softmax' | 'none' | null;
}

export interface LabelScore {
  label: string;
  score: number;
}

/** An array of inputs with `top_k: 1` (the default) gives one label each; otherwise an array of labels each. */
export type TextClassificationBatch<K extends number | null> = number extends K
  ? LabelScore[] | LabelScore[][]
  : K extends 1
    ? LabelScore[]
    : LabelScore[][];

export interface TextClassificationCall {
  (text: TextClassificationInput, options?: TextClassificationOptions): Promise<LabelScore[]>;
  <K extends number | null = 1>(
    texts: readonly TextClassificationInput[],
    options?: TextClassificationOptions<K>,
  ): Promise<TextClassificationBatch<K>>;
}

export const textClassification: TaskDefinition = {
  id: 'text-classification',
  options: ['top_k', 'function_to_apply', 'truncation'],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    const one = (value: unknown, what: string) =>
      isRecord(value) ? asPair(value, what) : asText(value, what);
    return { input: mapInput(inputs[0], 'text', one), options };
  },
};
