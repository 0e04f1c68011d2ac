export { cache, isCached, type CachedFile } from './cache.js';
export { DEFAULT_MODELS } from './defaults.js';
export type {
  Counters,
  Device,
  DType,
  EngineInfo,
  GpuOptions,
  MemoryReport,
  OpTiming,
  TaskId,
} from './engine.js';
export { env, type CustomCache, type Environment, type LogLevel, type WasmUrls } from './env.js';
export { TareasError, type ErrorCode } from './errors.js';
export type * from './events.js';
export {
  answerQuestion,
  classifyAudio,
  classifyImage,
  classifyText,
  configure,
  detectObjects,
  disposeAll,
  embed,
  embedImage,
  estimateDepth,
  fillMask,
  findEntities,
  generate,
  listen,
  nextSentence,
  segmentImage,
  fill,
  summarize,
  transcribe,
  translate,
  zeroShot,
  type WithModel,
} from './functions.js';
export type { FilesInput } from './hub/files.js';
export {
  pipeline,
  type Pipeline,
  type PipelineInfo,
  type PipelineMembers,
  type PipelineOptions,
} from './pipeline.js';
export type { FinalWord, ListenOptions, ListenSession, ListenUpdate } from './listen.js';
export { depthToImage, drawBoxes, drawMasks, type DrawOptions } from './draw.js';
export type { AudioInput, RawAudio } from './media/audio.js';
export type { ImageInput, RawImage } from './media/image.js';
export type { AudioBlock, CaptureEnd } from './media/microphone.js';
export { toSrt, toVtt, type SubtitleOptions, type Timed } from './subtitles.js';
export type { AudioClassificationOptions } from './tasks/audio-classification.js';
export type {
  AudioFeature,
  AudioFeatureExtractionOptions,
  AudioFeatureExtractionResult,
} from './tasks/audio-feature-extraction.js';
export type {
  ListenSource,
  SpeechRecognitionOptions,
  Transcript,
  TranscriptAlternative,
  TranscriptChunk,
} from './tasks/automatic-speech-recognition.js';
export type { Depth, DepthEstimationCall } from './tasks/depth-estimation.js';
export type { ImageClassificationOptions } from './tasks/image-classification.js';
export type { ImageFeatureExtractionOptions } from './tasks/image-feature-extraction.js';
export type { ImageSegmentationOptions, Segment } from './tasks/image-segmentation.js';
export type { Box, Detection, ObjectDetectionOptions } from './tasks/object-detection.js';
export type { Watched, WatchOptions, WatchSource } from './watch.js';
export type { CallOptions, TextPair, WholeTextOptions } from './tasks/common.js';
export type { FeatureExtractionOptions, FeatureExtractionResult } from './tasks/feature-extraction.js';
export type { FillMaskOptions, FillMaskPrediction, FillMaskResult } from './tasks/fill-mask.js';
export type { ResolvedTask, TaskAliases, TaskCalls, TaskName } from './tasks/index.js';
export {
  InterruptableStoppingCriteria,
  TextStreamer,
  type BeamText,
  type Candidate,
  type FilledText,
  type GeneratedText,
  type GenerationOptions,
  type LogitsProcessor,
  type Piece,
  type StoppingCriteria,
  type StoppingCriterion,
  type Streamer,
  type SummarizationOptions,
  type SummaryText,
  type Text2TextGenerationOptions,
  type Text2TextOptions,
  type TextGenerationOptions,
  type TextStreamerOptions,
  type Token,
  type TokenIds,
  type TranslationOptions,
  type TranslationText,
} from './tasks/generation.js';
export type { NextSentenceOptions, NextSentenceScore } from './tasks/next-sentence-prediction.js';
export type {
  Answer,
  QuestionAnsweringInput,
  QuestionAnsweringOptions,
  QuestionAnsweringResult,
} from './tasks/question-answering.js';
export type {
  LabelScore,
  TextClassificationBatch,
  TextClassificationInput,
  TextClassificationOptions,
} from './tasks/text-classification.js';
export type {
  AggregationStrategy,
  EntityGroup,
  TokenClassificationOptions,
  TokenClassificationResult,
  TokenEntity,
} from './tasks/token-classification.js';
export type { ZeroShotOptions, ZeroShotResult } from './tasks/zero-shot-classification.js';
export { Tensor, type NestedArray, type TensorData } from './tensor.js';
