import { TareasError } from '../errors.js';
import {
  asText,
  asTextOrTexts,
  isRecord,
  mapInput,
  splitArgs,
  type CallOptions,
  type TaskDefinition,
} from './common.js';

export interface QuestionAnsweringInput {
  question: string;
  context: string;
}

export interface QuestionAnsweringOptions<K extends number = number> extends CallOptions {
  /** How many answers, best first. Default 1. */
  top_k?: K;
  /** Tokens that neighbouring windows of a long context share. Default 128, at most half a window. */
  doc_stride?: number;
  /** Longest answer, in tokens. Default 15. */
  max_answer_len?: number;
  /** Tokens of one window with its question. Default 384, at most what the model takes. */
  max_seq_len?: number;
  /** Longest question, in tokens; the rest is cut. Default: no limit. */
  max_question_len?: number;
  /** Whether "no answer" (an empty string) may win. Default false. */
  handle_impossible_answer?: boolean;
  /** Whether answers end at whole words. Default true. */
  align_to_words?: boolean;
}

/** `context.slice(start, end) === answer`. */
export interface Answer {
  answer: string;
  score: number;
  start: number;
  end: number;
}

/** With `top_k` above 1 an array of answers. */
export type QuestionAnsweringResult<K extends number> = number extends K
  ? Answer | Answer[]
  : K extends 1
    ? Answer
    : Answer[];

export interface QuestionAnsweringCall {
  /** Several questions, each with its context or all about one. */
  <K extends number = 1>(
    questions: readonly string[],
    context: string | readonly string[],
    options?: QuestionAnsweringOptions<K>,
  ): Promise<QuestionAnsweringResult<K>[]>;
  <K extends number = 1>(
    question: string,
    context: string,
    options?: QuestionAnsweringOptions<K>,
  ): Promise<QuestionAnsweringResult<K>>;
  <K extends number = 1>(
    input: QuestionAnsweringInput,
    options?: QuestionAnsweringOptions<K>,
  ): Promise<QuestionAnsweringResult<K>>;
  <K extends number = 1>(
    inputs: readonly QuestionAnsweringInput[],
    options?: QuestionAnsweringOptions<K>,
  ): Promise<QuestionAnsweringResult<K>[]>;
}

function asQuestion(value: unknown, what: string): QuestionAnsweringInput {
  if (!isRecord(value)) throw new TareasError('input', `${what} has to be {question, context}`);
  return {
    question: asText(value['question'], `${what}.question`),
    context: asText(value['context'], `${what}.context`),
  };
}

/** Lists of questions and contexts, side by side; one of a kind goes with all of the other. */
function zip(question: unknown, context: unknown): QuestionAnsweringInput | QuestionAnsweringInput[] {
  const questions = asTextOrTexts(question, 'question');
  const contexts = asTextOrTexts(context, 'context');
  if (typeof questions === 'string' && typeof contexts === 'string') {
    return { question: questions, context: contexts };
  }
  const count = Math.max(
    ...[questions, contexts].map((list) => (typeof list === 'string' ? 0 : list.length)),
  );
  const at = (list: string | string[], index: number) => (typeof list === 'string' ? list : list[index]);
  return Array.from({ length: count }, (_, index) => {
    const pair = { question: at(questions, index), context: at(contexts, index) };
    if (pair.question === undefined || pair.context === undefined) {
      throw new TareasError(
        'input',
        `${questions.length} questions and ${contexts.length} contexts do not pair up`,
      );
    }
    return pair as QuestionAnsweringInput;
  });
}

export const questionAnswering: TaskDefinition = {
  id: 'question-answering',
  options: [
    'top_k',
    'doc_stride',
    'max_answer_len',
    'max_seq_len',
    'max_question_len',
    'handle_impossible_answer',
    'align_to_words',
  ],
  read(args) {
    const [first] = args;
    if (typeof first === 'string' || (Array.isArray(first) && typeof first[0] === 'string')) {
      const { inputs, options } = splitArgs(args, 2, 2);
      return { input: zip(inputs[0], inputs[1]), options };
    }
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: mapInput(inputs[0], 'input', asQuestion), options };
  },
};
