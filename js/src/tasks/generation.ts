import type { RunExtras } from '../client.js';
import type { TaskId } from '../engine.js';
import { TareasError } from '../errors.js';
import {
  asTextOrTexts,
  splitArgs,
  type Call,
  type CallOptions,
  type EngineRun,
  type TaskDefinition,
} from './common.js';

/** Token ids of one text, the prompt included. */
export type TokenIds = readonly number[];

/**
 * Changes the scores of the next tokens: one row of `scores` (`[rows, vocabulary]`, row-major) per entry
 * of `ids`. It changes the array it is given, or returns another of the same length.
 */
export type LogitsProcessor = (
  ids: readonly TokenIds[],
  scores: Float32Array,
) => Float32Array | void | Promise<Float32Array | void>;

/** Whether the texts end here: one answer for all, or one each. */
export type StoppingCriterion = (
  ids: readonly TokenIds[],
) => boolean | readonly boolean[] | Promise<boolean | readonly boolean[]>;

/** Options of `generate`; names, defaults and meanings are those of transformers. */
export interface GenerationOptions extends CallOptions {
  max_length?: number | null;
  max_new_tokens?: number | null;
  min_length?: number | null;
  min_new_tokens?: number | null;
  early_stopping?: boolean | 'never';
  /** Seconds. */
  max_time?: number | null;
  stop_strings?: string | readonly string[] | null;
  do_sample?: boolean;
  num_beams?: number;
  temperature?: number | null;
  top_k?: number | null;
  top_p?: number | null;
  min_p?: number | null;
  typical_p?: number | null;
  epsilon_cutoff?: number | null;
  eta_cutoff?: number | null;
  repetition_penalty?: number | null;
  encoder_repetition_penalty?: number | null;
  length_penalty?: number | null;
  no_repeat_ngram_size?: number | null;
  encoder_no_repeat_ngram_size?: number | null;
  bad_words_ids?: readonly TokenIds[] | null;
  sequence_bias?: readonly (readonly [TokenIds, number])[] | null;
  renormalize_logits?: boolean;
  forced_bos_token_id?: number | null;
  forced_eos_token_id?: number | readonly number[] | null;
  remove_invalid_values?: boolean;
  exponential_decay_length_penalty?: readonly [number, number] | null;
  suppress_tokens?: readonly number[] | null;
  begin_suppress_tokens?: readonly number[] | null;
  num_return_sequences?: number;
  pad_token_id?: number | null;
  bos_token_id?: number | null;
  eos_token_id?: number | readonly number[] | null;
  decoder_start_token_id?: number | null;
  /** Of the random numbers; the same seed gives the same texts. */
  seed?: number | null;
  /** Report how each token was chosen. */
  output_scores?: boolean;
  /** Report so many candidates for each token, with their log-probabilities. */
  top_candidates?: number;
  /** Remove spaces before punctuation. Default: true for text-generation, false otherwise. */
  clean_up_tokenization_spaces?: boolean;
  return_tensors?: boolean;
  logits_processor?: LogitsProcessor | readonly LogitsProcessor[] | null;
  stopping_criteria?:
    StoppingCriterion | StoppingCriteria | readonly (StoppingCriterion | StoppingCriteria)[] | null;
  /** Told the text while it is written. */
  streamer?: Streamer | null;
}

export interface TextGenerationOptions extends GenerationOptions {
  /** The prompt in front of what was written. Default true. */
  return_full_text?: boolean;
  skip_special_tokens?: boolean;
  add_special_tokens?: boolean;
  prefix?: string;
  stop_sequence?: string;
  /**
   * Go on from the keys and values that the last call left: of a prompt that begins with that
   * call's prompt and answer (a chat) only the rest is read. What is written is the same. They are
   * kept until the next call; one that fails or is aborted drops them. Default false.
   */
  reuse_cache?: boolean;
  handle_long_generation?: 'hole' | null;
}

export interface Text2TextOptions extends GenerationOptions {
  /** Cut texts that are too long for the model. Default false: an error. */
  truncation?: boolean;
}

export interface Text2TextGenerationOptions extends Text2TextOptions {
  /** The text has one mask (`<mask>` for BART): report the span that is written in its place. Default false. */
  fill?: boolean;
}

export interface SummarizationOptions extends Text2TextOptions {
  /** Summarise a text that is too long part by part. Default false. */
  split?: boolean;
}

export interface TranslationOptions extends Text2TextOptions {
  /** As the model spells it: `en`, `en_XX`. */
  src_lang?: string;
  tgt_lang?: string;
}

/** A token that could have been chosen. */
export interface Candidate {
  id: number;
  text: string;
  logprob: number;
}

/** A token that was chosen; with `output_scores` or `top_candidates` how. */
export interface Token {
  id: number;
  text: string;
  logprob?: number;
  candidates?: Candidate[];
}

interface Scored {
  /** Of beam search, with `output_scores`. */
  score?: number;
  /** With `output_scores`. */
  tokens?: Token[];
}
export interface GeneratedText extends Scored {
  generated_text: string;
}
/** With `fill`. */
export interface FilledText extends GeneratedText {
  /** What stands where the mask was; null where the model rewrote the text around it too. */
  span: string | null;
}
export interface SummaryText extends Scored {
  summary_text: string;
}
export interface TranslationText extends Scored {
  translation_text: string;
}

/** A hypothesis of beam search as it stands. */
export interface BeamText {
  text: string;
  score: number;
  done: boolean;
}

/** A piece of a text that is being written. All `text`s of a prompt and sequence make up what is written. */
export interface Piece {
  /** Which of the prompts. */
  prompt: number;
  /** Which of its return sequences. */
  sequence: number;
  /** What is certain now; may be empty. */
  text: string;
  token?: Token;
  /** With beams: all of them. */
  beams?: BeamText[];
  /** The last piece of its text. */
  done?: boolean;
}

/** What a pipeline that writes has besides being callable. */
export interface Streams<O> {
  /**
   * Writes, piece by piece. Leaving the loop stops the model.
   *
   * ```ts
   * for await (const { text } of generator.stream('Once upon a time')) show(text);
   * ```
   */
  stream(text: string | readonly string[], options?: O): AsyncGenerator<Piece, void, undefined>;
}

export interface TextGenerationCall extends Streams<TextGenerationOptions> {
  (prompt: string, options?: TextGenerationOptions): Promise<GeneratedText[]>;
  (prompts: readonly string[], options?: TextGenerationOptions): Promise<GeneratedText[][]>;
}
/** A list of texts gives one result each, or a list each where there are several return sequences. */
interface Seq2SeqCall<O, R> extends Streams<O> {
  (text: string, options?: O): Promise<R[]>;
  (texts: readonly string[], options?: O & { num_return_sequences?: 1 }): Promise<R[]>;
  (texts: readonly string[], options: O): Promise<R[] | R[][]>;
}
export interface Text2TextCall extends Seq2SeqCall<Text2TextGenerationOptions, GeneratedText> {
  (text: string, options: Text2TextGenerationOptions & { fill: true }): Promise<FilledText[]>;
}
export type SummarizationCall = Seq2SeqCall<SummarizationOptions, SummaryText>;
export type TranslationCall = Seq2SeqCall<TranslationOptions, TranslationText>;

/** Told pieces of text while a call runs. */
export interface Streamer {
  /** The prompt, then each piece. */
  on_finalized_text(text: string, stream_end: boolean): void;
  on_token?(id: number): void;
  /** False: the prompt comes first. */
  readonly skip_prompt: boolean;
}

export interface TextStreamerOptions {
  skip_prompt?: boolean;
  /** Only true: special tokens are never part of a piece. */
  skip_special_tokens?: true;
  callback_function?: ((text: string) => void) | null;
  token_callback_function?: ((tokens: bigint[]) => void) | null;
}

/** transformers.js's TextStreamer. The engine decodes: the tokenizer may be null. */
export class TextStreamer implements Streamer {
  readonly skip_prompt: boolean;
  private readonly callback: ((text: string) => void) | null;
  private readonly tokenCallback: ((tokens: bigint[]) => void) | null;

  constructor(_tokenizer?: unknown, options: TextStreamerOptions = {}) {
    if (options.skip_special_tokens !== undefined && !options.skip_special_tokens) {
      throw new TareasError('unsupported', 'TextStreamer: skip_special_tokens: false is not implemented');
    }
    this.skip_prompt = options.skip_prompt ?? false;
    this.callback = options.callback_function ?? null;
    this.tokenCallback = options.token_callback_function ?? null;
  }

  on_token(id: number): void {
    this.tokenCallback?.([BigInt(id)]);
  }

  on_finalized_text(text: string, _stream_end: boolean): void {
    if (text !== '') this.callback?.(text);
  }
}

/** Something that can say when a text ends. */
export interface StoppingCriteria {
  _call(ids: readonly TokenIds[]): boolean | readonly boolean[];
}

/** transformers.js's: stops the text, which is then returned as far as it got. */
export class InterruptableStoppingCriteria implements StoppingCriteria {
  interrupted = false;

  interrupt(): void {
    this.interrupted = true;
  }

  reset(): void {
    this.interrupted = false;
  }

  _call(): boolean {
    return this.interrupted;
  }
}

const GENERATION = [
  'max_length',
  'max_new_tokens',
  'min_length',
  'min_new_tokens',
  'early_stopping',
  'max_time',
  'stop_strings',
  'do_sample',
  'num_beams',
  'temperature',
  'top_k',
  'top_p',
  'min_p',
  'typical_p',
  'epsilon_cutoff',
  'eta_cutoff',
  'repetition_penalty',
  'encoder_repetition_penalty',
  'length_penalty',
  'no_repeat_ngram_size',
  'encoder_no_repeat_ngram_size',
  'bad_words_ids',
  'sequence_bias',
  'renormalize_logits',
  'forced_bos_token_id',
  'forced_eos_token_id',
  'remove_invalid_values',
  'exponential_decay_length_penalty',
  'suppress_tokens',
  'begin_suppress_tokens',
  'num_return_sequences',
  'pad_token_id',
  'bos_token_id',
  'eos_token_id',
  'decoder_start_token_id',
  'seed',
  'output_scores',
  'top_candidates',
  'clean_up_tokenization_spaces',
  'return_tensors',
  'logits_processor',
  'stopping_criteria',
  'streamer',
] as const satisfies readonly (keyof GenerationOptions)[];

function list<T>(value: T | readonly T[] | null | undefined): T[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? [...(value as readonly T[])] : [value as T];
}

interface Question {
  ask: string;
  ids: TokenIds[];
  scores?: Float32Array;
}

/** Takes the functions out of a call's options: the engine is told only that they are there. */
function callbacks(call: Call): RunExtras {
  const options = call.options as Record<string, unknown> & GenerationOptions;
  const processors = list(options.logits_processor);
  const criteria = list(options.stopping_criteria);
  const streamer = options.streamer ?? null;
  delete options['logits_processor'];
  delete options['stopping_criteria'];
  delete options['streamer'];
  for (const one of processors)
    if (typeof one !== 'function') throw new TareasError('input', 'logits_processor has to be a function');
  for (const one of criteria)
    if (typeof one !== 'function' && typeof (one as StoppingCriteria)?._call !== 'function')
      throw new TareasError('input', 'stopping_criteria has to be a function, or have one called _call');
  if (processors.length > 0) (call.options as Record<string, unknown>)['logits_processor'] = true;
  if (criteria.length > 0) (call.options as Record<string, unknown>)['stopping_criteria'] = true;

  const onAsk = async (asked: unknown): Promise<unknown> => {
    const { ask, ids, scores } = asked as Question;
    if (ask === 'logits_processor') {
      let current = scores!;
      for (const one of processors) current = (await one(ids, current)) ?? current;
      return current;
    }
    const stop = ids.map(() => false);
    for (const one of criteria) {
      const answer = await (typeof one === 'function' ? one(ids) : one._call(ids));
      ids.forEach((_, row) => (stop[row] ||= typeof answer === 'boolean' ? answer : answer[row] === true));
    }
    return stop;
  };
  const extras: RunExtras = processors.length + criteria.length > 0 ? { onAsk } : {};
  if (!streamer) return extras;
  if (typeof streamer.on_finalized_text !== 'function')
    throw new TareasError('input', 'streamer has to be a TextStreamer, or have on_finalized_text');
  if ((options.num_beams ?? 1) > 1 || (options.num_return_sequences ?? 1) > 1 || Array.isArray(call.input)) {
    throw new TareasError('input', 'A streamer follows one text at a time', {
      remedy: 'use stream(), which tells the texts apart',
    });
  }
  call.options['stream'] = true;
  if (!streamer.skip_prompt) streamer.on_finalized_text(call.input as string, false);
  extras.onPiece = (piece) => {
    const { text, token, done } = piece as Piece;
    if (token) streamer.on_token?.(token.id);
    streamer.on_finalized_text(text, done ?? false);
  };
  return extras;
}

/** Pieces as they come; the end, an error or a reader who leaves ends the run. */
async function* pieces(run: EngineRun, call: Call): AsyncGenerator<Piece, void, undefined> {
  const control = new AbortController();
  const given = call.options['signal'];
  if (given !== undefined && !(given instanceof AbortSignal))
    throw new TareasError('input', 'signal has to be an AbortSignal');
  delete call.options['signal'];
  const extras = callbacks(call);
  call.options['stream'] = true;
  const waiting: Piece[] = [];
  let wake = () => {};
  let finished = false;
  const forward = () => control.abort(given?.reason);
  if (given?.aborted) forward();
  given?.addEventListener('abort', forward, { once: true });
  const running = run(call.input, call.options, control.signal, {
    ...extras,
    onPiece: (piece) => {
      extras.onPiece?.(piece);
      waiting.push(piece as Piece);
      wake();
    },
  }).finally(() => {
    finished = true;
    wake();
  });
  running.catch(() => {});
  try {
    for (;;) {
      const piece = waiting.shift();
      if (piece) yield piece;
      else if (finished) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    await running;
  } finally {
    given?.removeEventListener('abort', forward);
    if (!finished) control.abort();
  }
}

function define(id: TaskId, own: readonly string[]): TaskDefinition {
  const read = (args: readonly unknown[]): Call => {
    const { inputs, options } = splitArgs(args, 1, 1);
    return { input: asTextOrTexts(inputs[0], 'text'), options };
  };
  return {
    id,
    options: [...GENERATION, ...own],
    read,
    extras: callbacks,
    members: (run) => ({
      stream: (text: unknown, options?: object) => pieces(run, read(options ? [text, options] : [text])),
    }),
  };
}

export const textGeneration = define('text-generation', [
  'return_full_text',
  'skip_special_tokens',
  'add_special_tokens',
  'prefix',
  'stop_sequence',
  'reuse_cache',
  'handle_long_generation',
]);
export const text2textGeneration = define('text2text-generation', ['truncation', 'fill']);
export const summarization = define('summarization', ['truncation', 'split']);
export const translation = define('translation', ['truncation', 'src_lang', 'tgt_lang']);

/** `translation_en_to_fr`: translation with its languages. */
export function translationOf(task: string): TaskDefinition | null {
  const pair = /^translation_(.+)_to_(.+)$/.exec(task);
  if (!pair) return null;
  const [, src_lang, tgt_lang] = pair;
  const read = (args: readonly unknown[]): Call => {
    const call = translation.read(args);
    return { ...call, options: { src_lang, tgt_lang, ...call.options } };
  };
  return {
    ...translation,
    read,
    members: (run) => ({
      stream: (text: unknown, options?: object) => pieces(run, read(options ? [text, options] : [text])),
    }),
  };
}
