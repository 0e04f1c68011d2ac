import { TareasError } from '../errors.js';
import {
  asPair,
  isRecord,
  mapInput,
  splitArgs,
  type WholeTextOptions,
  type TaskDefinition,
  type TextPair,
} from './common.js';

export type NextSentenceOptions = WholeTextOptions;

export interface NextSentenceScore {
  /** Whether the second text follows the first. */
  label: 'is_next' | 'not_next';
  score: number;
}

export interface NextSentenceCall {
  (text: string, text_pair: string, options?: NextSentenceOptions): Promise<NextSentenceScore[]>;
  (input: TextPair, options?: NextSentenceOptions): Promise<NextSentenceScore[]>;
  (inputs: readonly TextPair[], options?: NextSentenceOptions): Promise<NextSentenceScore[][]>;
}

function one(value: unknown, what: string): TextPair {
  if (!isRecord(value)) throw new TareasError('input', `${what} has to be {text, text_pair}`);
  return asPair(value, what);
}

export const nextSentencePrediction: TaskDefinition = {
  id: 'next-sentence-prediction',
  options: ['truncation'],
  read(args) {
    if (typeof args[0] === 'string') {
      const { inputs, options } = splitArgs(args, 2, 2);
      return { input: one({ text: inputs[0], text_pair: inputs[1] }, 'input'), options };
    }
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: mapInput(inputs[0], 'input', one), options };
  },
};
