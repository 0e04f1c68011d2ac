import { asTextOrTexts, splitArgs, type CallOptions, type TaskDefinition } from './common.js';

/** How tokens are joined to entities. */
export type AggregationStrategy = 'none' | 'simple' | 'first' | 'average' | 'max';

export interface TokenClassificationOptions<
  S extends AggregationStrategy = AggregationStrategy,
> extends CallOptions {
  /** Default `none`: one result per token. */
  aggregation_strategy?: S;
  /** Labels to leave out. Default `['O']`. */
  ignore_labels?: readonly string[];
  /** Tokens that neighbouring windows share where a text is longer than the model. */
  stride?: number | null;
}

/** One token; `text.slice(start, end)` is its text. */
export interface TokenEntity {
  entity: string;
  score: number;
  /** Position among the model's tokens. */
  index: number;
  word: string;
  start: number;
  end: number;
}

/** One entity; `text.slice(start, end)` is its text. */
export interface EntityGroup {
  entity_group: string;
  score: number;
  word: string;
  start: number;
  end: number;
}

export type TokenClassificationResult<S extends AggregationStrategy> = S extends 'none'
  ? TokenEntity
  : EntityGroup;

export interface TokenClassificationCall {
  <S extends AggregationStrategy = 'none'>(
    text: string,
    options?: TokenClassificationOptions<S>,
  ): Promise<TokenClassificationResult<S>[]>;
  <S extends AggregationStrategy = 'none'>(
    texts: readonly string[],
    options?: TokenClassificationOptions<S>,
  ): Promise<TokenClassificationResult<S>[][]>;
}

export const tokenClassification: TaskDefinition = {
  id: 'token-classification',
  options: ['aggregation_strategy', 'ignore_labels', 'stride'],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: asTextOrTexts(inputs[0], 'text'), options };
  },
};
