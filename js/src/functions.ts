import { abortable } from './client.js';
import { CALL_OPTIONS, type CallOptions, type EngineRun, type TextPair } from './tasks/common.js';
import { TareasError } from './errors.js';
import { RUN, type ListenOptions, ListenSession } from './listen.js';
import type { AudioInput } from './media/audio.js';
import { pipeline, type Pipeline, type PipelineOptions } from './pipeline.js';
import type { AudioClassificationOptions } from './tasks/audio-classification.js';
import {
  listenWith,
  LISTEN_OPTIONS,
  type ListenSource,
  type SpeechRecognitionOptions,
  type Transcript,
} from './tasks/automatic-speech-recognition.js';
import type { FeatureExtractionOptions, FeatureExtractionResult } from './tasks/feature-extraction.js';
import type {
  FilledText,
  GeneratedText,
  SummarizationOptions,
  SummaryText,
  Text2TextGenerationOptions,
  TextGenerationOptions,
  TranslationOptions,
  TranslationText,
} from './tasks/generation.js';
import type { FillMaskOptions, FillMaskResult } from './tasks/fill-mask.js';
import type { ImageInput } from './media/image.js';
import type { Depth } from './tasks/depth-estimation.js';
import type { ImageClassificationOptions } from './tasks/image-classification.js';
import type { ImageFeatureExtractionOptions } from './tasks/image-feature-extraction.js';
import type { ImageSegmentationOptions, Segment } from './tasks/image-segmentation.js';
import type { Detection, ObjectDetectionOptions } from './tasks/object-detection.js';
import type { Tensor } from './tensor.js';
import { resolveTask, type TaskCalls, type TaskName } from './tasks/index.js';
import type { NextSentenceScore } from './tasks/next-sentence-prediction.js';
import type { QuestionAnsweringOptions, QuestionAnsweringResult } from './tasks/question-answering.js';
import type {
  LabelScore,
  TextClassificationBatch,
  TextClassificationInput,
  TextClassificationOptions,
} from './tasks/text-classification.js';
import type {
  AggregationStrategy,
  TokenClassificationOptions,
  TokenClassificationResult,
} from './tasks/token-classification.js';
import type { ZeroShotOptions, ZeroShotResult } from './tasks/zero-shot-classification.js';

/** Options of the plain functions: the call's own, the model, and how to load it. */
export type WithModel<O> = O & { model?: string | null } & Omit<PipelineOptions, 'signal'>;

type Id = keyof TaskCalls;
type AnyPipeline = Pipeline<Id>;

/** One pipeline that callers share, and how many still wait for its load. */
interface Shared {
  pipeline: Promise<AnyPipeline>;
  waiting: number;
  control: AbortController;
}

const shared = new Map<string, Shared>();
const settings = new Map<Id, { model?: string | null } & PipelineOptions>();
/** Objects have no useful text form as a key; each gets a number. */
const objectIds = new WeakMap<object, number>();
let lastObjectId = 0;

/**
 * Sets the model and the load options of a plain function's task, for the calls that come after.
 *
 * ```ts
 * configure('token-classification', { model: 'owner/name', dtype: 'q8' });
 * ```
 */
export function configure(task: TaskName, options: { model?: string | null } & PipelineOptions): void {
  settings.set(resolveTask(task).id, options);
}

/** Frees the pipelines that the plain functions have loaded; of one task, or all. */
export async function disposeAll(task?: TaskName): Promise<void> {
  const prefix = task === undefined ? '' : `${resolveTask(task).id} `;
  const chosen = [...shared].filter(([key]) => key.startsWith(prefix));
  for (const [key, entry] of chosen) {
    shared.delete(key);
    entry.control.abort();
  }
  await Promise.all(
    chosen.map(([, entry]) =>
      entry.pipeline.then(
        (loaded) => loaded.dispose(),
        () => {},
      ),
    ),
  );
}

function keyPart(value: unknown): unknown {
  if (typeof value !== 'object' && typeof value !== 'function') return value;
  if (value === null || Object.getPrototypeOf(value) === Object.prototype) return value;
  if (!objectIds.has(value)) objectIds.set(value, ++lastObjectId);
  return `#${objectIds.get(value)}`;
}

/** Splits the options of a plain function into the call's and the load's. */
function split(
  task: Id,
  options: Record<string, unknown>,
): { call: Record<string, unknown>; load: Record<string, unknown> } {
  const known: readonly string[] = [...resolveTask(task).options, ...CALL_OPTIONS];
  const call: Record<string, unknown> = {};
  const load: Record<string, unknown> = { ...settings.get(task) };
  for (const [name, value] of Object.entries(options)) (known.includes(name) ? call : load)[name] = value;
  return { call, load };
}

/** The shared pipeline of these load options. The load stops when nobody waits for it any more. */
async function acquire(task: Id, load: Record<string, unknown>, signal?: AbortSignal): Promise<AnyPipeline> {
  const { model, progress_callback, ...rest } = load;
  const key = `${task} ${JSON.stringify({ model, ...rest }, (name, value: unknown) => (name === '' ? value : keyPart(value)))}`;
  let entry = shared.get(key);
  if (!entry) {
    const control = new AbortController();
    const options = { ...rest, progress_callback, signal: control.signal } as PipelineOptions;
    const loading = pipeline(task, model as string | null | undefined, options) as Promise<AnyPipeline>;
    const created: Shared = { pipeline: loading, waiting: 0, control };
    loading.catch(() => {
      if (shared.get(key) === created) shared.delete(key);
    });
    shared.set(key, created);
    entry = created;
  }
  const current = entry;
  current.waiting++;
  try {
    return await abortable(current.pipeline, signal);
  } catch (error) {
    if (signal?.aborted && current.waiting === 1) {
      if (shared.get(key) === current) shared.delete(key);
      current.control.abort();
      current.pipeline.then(
        (late) => late.dispose(),
        () => {},
      );
    }
    throw error;
  } finally {
    current.waiting--;
  }
}

async function call(task: Id, inputs: readonly unknown[], options: object | undefined): Promise<unknown> {
  const { call, load } = split(task, (options ?? {}) as Record<string, unknown>);
  const signal = call['signal'];
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TareasError('input', 'signal has to be an AbortSignal');
  }
  const loaded = await acquire(task, load, signal);
  return (loaded as unknown as (...args: unknown[]) => Promise<unknown>)(...inputs, call);
}

/** Labels of a text: sentiment, topic, whatever the model was trained for. */
export function classifyText(
  text: TextClassificationInput,
  options?: WithModel<TextClassificationOptions>,
): Promise<LabelScore[]>;
export function classifyText<K extends number | null = 1>(
  texts: readonly TextClassificationInput[],
  options?: WithModel<TextClassificationOptions<K>>,
): Promise<TextClassificationBatch<K>>;
export function classifyText(text: unknown, options?: object): Promise<unknown> {
  return call('text-classification', [text], options);
}

/** Which of the given labels fit a text. */
export function zeroShot(
  text: string,
  candidate_labels: string | readonly string[],
  options?: WithModel<ZeroShotOptions>,
): Promise<ZeroShotResult>;
export function zeroShot(
  texts: readonly string[],
  candidate_labels: string | readonly string[],
  options?: WithModel<ZeroShotOptions>,
): Promise<ZeroShotResult[]>;
export function zeroShot(text: unknown, labels: unknown, options?: object): Promise<unknown> {
  return call('zero-shot-classification', [text, labels], options);
}

/** Names, places and whatever else the model tags; whole entities, unless `aggregation_strategy` says otherwise. */
export function findEntities<S extends AggregationStrategy = 'simple'>(
  text: string,
  options?: WithModel<TokenClassificationOptions<S>>,
): Promise<TokenClassificationResult<S>[]>;
export function findEntities<S extends AggregationStrategy = 'simple'>(
  texts: readonly string[],
  options?: WithModel<TokenClassificationOptions<S>>,
): Promise<TokenClassificationResult<S>[][]>;
export function findEntities(text: unknown, options?: object): Promise<unknown> {
  return call('token-classification', [text], { aggregation_strategy: 'simple', ...options });
}

/** The passage of a context that answers a question. */
export function answerQuestion<K extends number = 1>(
  question: string,
  context: string,
  options?: WithModel<QuestionAnsweringOptions<K>>,
): Promise<QuestionAnsweringResult<K>> {
  return call('question-answering', [question, context], options) as Promise<QuestionAnsweringResult<K>>;
}

/** Words for the mask in a text. */
export function fillMask<const T extends string>(
  text: T,
  options?: WithModel<FillMaskOptions>,
): Promise<FillMaskResult<T>>;
export function fillMask<const T extends string>(
  texts: readonly T[],
  options?: WithModel<FillMaskOptions>,
): Promise<FillMaskResult<T>[]>;
export function fillMask(text: unknown, options?: object): Promise<unknown> {
  return call('fill-mask', [text], options);
}

/** Sentence vectors `[B, H]`; mean pooling and length 1, unless the options say otherwise. */
export function embed<Q extends boolean = false>(
  texts: string | readonly string[],
  options?: WithModel<FeatureExtractionOptions<Q>>,
): Promise<FeatureExtractionResult<Q>> {
  const withDefaults = { pooling: 'mean', normalize: true, ...options };
  return call('feature-extraction', [texts], withDefaults) as Promise<FeatureExtractionResult<Q>>;
}

/** Whether one text follows another. */
export function nextSentence(
  text: string,
  text_pair: string,
  options?: WithModel<CallOptions>,
): Promise<NextSentenceScore[]>;
export function nextSentence(
  inputs: readonly TextPair[],
  options?: WithModel<CallOptions>,
): Promise<NextSentenceScore[][]>;
export function nextSentence(first: unknown, second?: unknown, options?: object): Promise<unknown> {
  if (Array.isArray(first)) return call('next-sentence-prediction', [first], second as object | undefined);
  return call('next-sentence-prediction', [first, second], options);
}

/** What was said, and with `return_timestamps` when. */
export function transcribe(
  audio: AudioInput,
  options?: WithModel<SpeechRecognitionOptions>,
): Promise<Transcript>;
export function transcribe(
  audios: readonly AudioInput[],
  options?: WithModel<SpeechRecognitionOptions>,
): Promise<Transcript[]>;
export function transcribe(audio: unknown, options?: object): Promise<unknown> {
  return call('automatic-speech-recognition', [audio], options);
}

/**
 * Listens to the microphone, or to another source, until it is stopped. The model loads while the
 * first words are spoken; they wait for it.
 */
export function listen(source?: ListenSource | null, options: WithModel<ListenOptions> = {}): ListenSession {
  const own: Record<string, unknown> = {};
  const other: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    ((LISTEN_OPTIONS as readonly string[]).includes(name) ? own : other)[name] = value;
  }
  const { load } = split('automatic-speech-recognition', other);
  const { signal } = own as ListenOptions;
  const loading = acquire('automatic-speech-recognition', load, signal);
  loading.catch(() => {});
  return listenWith(
    async (input, settings, signal) => {
      const loaded = (await loading) as unknown as { [RUN]: EngineRun };
      return loaded[RUN](input, settings, signal);
    },
    source,
    own,
  );
}

/** Labels of a sound: a command, a language, whatever the model was trained for. */
export function classifyAudio(
  audio: AudioInput,
  options?: WithModel<AudioClassificationOptions>,
): Promise<LabelScore[]>;
export function classifyAudio(
  audios: readonly AudioInput[],
  options?: WithModel<AudioClassificationOptions>,
): Promise<LabelScore[][]>;
export function classifyAudio(audio: unknown, options?: object): Promise<unknown> {
  return call('audio-classification', [audio], options);
}

/** What an image shows. */
export function classifyImage(
  image: ImageInput,
  options?: WithModel<ImageClassificationOptions>,
): Promise<LabelScore[]>;
export function classifyImage(
  images: readonly ImageInput[],
  options?: WithModel<ImageClassificationOptions>,
): Promise<LabelScore[][]>;
export function classifyImage(image: unknown, options?: object): Promise<unknown> {
  return call('image-classification', [image], options);
}

/** Things in an image, with their boxes. */
export function detectObjects(
  image: ImageInput,
  options?: WithModel<ObjectDetectionOptions>,
): Promise<Detection[]>;
export function detectObjects(
  images: readonly ImageInput[],
  options?: WithModel<ObjectDetectionOptions>,
): Promise<Detection[][]>;
export function detectObjects(image: unknown, options?: object): Promise<unknown> {
  return call('object-detection', [image], options);
}

/** The parts of an image, with their masks. */
export function segmentImage(
  image: ImageInput,
  options?: WithModel<ImageSegmentationOptions>,
): Promise<Segment[]>;
export function segmentImage(
  images: readonly ImageInput[],
  options?: WithModel<ImageSegmentationOptions>,
): Promise<Segment[][]>;
export function segmentImage(image: unknown, options?: object): Promise<unknown> {
  return call('image-segmentation', [image], options);
}

/** How far away each pixel of an image is. */
export function estimateDepth(image: ImageInput, options?: WithModel<CallOptions>): Promise<Depth>;
export function estimateDepth(
  images: readonly ImageInput[],
  options?: WithModel<CallOptions>,
): Promise<Depth[]>;
export function estimateDepth(image: unknown, options?: object): Promise<unknown> {
  return call('depth-estimation', [image], options);
}

/** Image features: one vector per image where the model has a pooler and `pool` is true, hidden states otherwise. */
export function embedImage(
  images: ImageInput | readonly ImageInput[],
  options?: WithModel<ImageFeatureExtractionOptions>,
): Promise<Tensor> {
  return call('image-feature-extraction', [images], options) as Promise<Tensor>;
}

/** Continues a prompt. */
export function generate(
  prompt: string,
  options?: WithModel<TextGenerationOptions>,
): Promise<GeneratedText[]>;
export function generate(
  prompts: readonly string[],
  options?: WithModel<TextGenerationOptions>,
): Promise<GeneratedText[][]>;
export function generate(prompt: unknown, options?: object): Promise<unknown> {
  return call('text-generation', [prompt], options);
}

/** The gist of a text. */
export function summarize(
  text: string | readonly string[],
  options?: WithModel<SummarizationOptions>,
): Promise<SummaryText[]>;
export function summarize(text: unknown, options?: object): Promise<unknown> {
  return call('summarization', [text], options);
}

/**
 * Fills the one `<mask>` of a text with a span of any length. `num_beams` and `num_return_sequences` give
 * several candidates.
 */
export function fill(
  text: string,
  options?: WithModel<Omit<Text2TextGenerationOptions, 'fill'>>,
): Promise<FilledText[]> {
  const task = 'text2text-generation';
  const model = options?.model ?? settings.get(task)?.model ?? 'facebook/bart-base';
  return call(task, [text], { ...options, model, fill: true }) as Promise<FilledText[]>;
}

/** A text in another language. */
export function translate(
  text: string | readonly string[],
  options?: WithModel<TranslationOptions>,
): Promise<TranslationText[]>;
export function translate(text: unknown, options?: object): Promise<unknown> {
  return call('translation', [text], options);
}
