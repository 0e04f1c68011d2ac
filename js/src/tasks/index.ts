import { TareasError } from '../errors.js';
import { nearest } from '../nearest.js';
import { audioClassification, type AudioClassificationCall } from './audio-classification.js';
import { audioFeatureExtraction, type AudioFeatureExtractionCall } from './audio-feature-extraction.js';
import { automaticSpeechRecognition, type SpeechRecognitionCall } from './automatic-speech-recognition.js';
import type { TaskDefinition } from './common.js';
import {
  summarization,
  text2textGeneration,
  textGeneration,
  translation,
  translationOf,
  type SummarizationCall,
  type Text2TextCall,
  type TextGenerationCall,
  type TranslationCall,
} from './generation.js';
import { featureExtraction, type FeatureExtractionCall } from './feature-extraction.js';
import { fillMaskTask, type FillMaskCall } from './fill-mask.js';
import { depthEstimation, type DepthEstimationCall } from './depth-estimation.js';
import { imageClassification, type ImageClassificationCall } from './image-classification.js';
import { imageFeatureExtraction, type ImageFeatureExtractionCall } from './image-feature-extraction.js';
import { imageSegmentation, type ImageSegmentationCall } from './image-segmentation.js';
import { nextSentencePrediction, type NextSentenceCall } from './next-sentence-prediction.js';
import { objectDetection, type ObjectDetectionCall } from './object-detection.js';
import { questionAnswering, type QuestionAnsweringCall } from './question-answering.js';
import { textClassification, type TextClassificationCall } from './text-classification.js';
import { tokenClassification, type TokenClassificationCall } from './token-classification.js';
import { zeroShotClassification, type ZeroShotCall } from './zero-shot-classification.js';

/** How a pipeline of each task is called. */
export interface TaskCalls {
  'text-classification': TextClassificationCall;
  'zero-shot-classification': ZeroShotCall;
  'token-classification': TokenClassificationCall;
  'question-answering': QuestionAnsweringCall;
  'fill-mask': FillMaskCall;
  'feature-extraction': FeatureExtractionCall;
  'next-sentence-prediction': NextSentenceCall;
  'automatic-speech-recognition': SpeechRecognitionCall;
  'audio-classification': AudioClassificationCall;
  'audio-feature-extraction': AudioFeatureExtractionCall;
  'image-classification': ImageClassificationCall;
  'object-detection': ObjectDetectionCall;
  'image-segmentation': ImageSegmentationCall;
  'depth-estimation': DepthEstimationCall;
  'image-feature-extraction': ImageFeatureExtractionCall;
  'text-generation': TextGenerationCall;
  'text2text-generation': Text2TextCall;
  summarization: SummarizationCall;
  translation: TranslationCall;
}

/** Other names of tasks, as in transformers. */
export interface TaskAliases {
  'sentiment-analysis': 'text-classification';
  ner: 'token-classification';
  embeddings: 'feature-extraction';
  asr: 'automatic-speech-recognition';
}

/** Every name that `pipeline()` takes. */
export type TaskName = keyof TaskCalls | keyof TaskAliases | `translation_${string}_to_${string}`;

export type ResolvedTask<T extends TaskName> = T extends keyof TaskAliases
  ? TaskAliases[T]
  : T extends keyof TaskCalls
    ? T
    : 'translation';

const ALIASES: TaskAliases = {
  'sentiment-analysis': 'text-classification',
  ner: 'token-classification',
  embeddings: 'feature-extraction',
  asr: 'automatic-speech-recognition',
};

const TASKS: Record<keyof TaskCalls, TaskDefinition> = {
  'text-classification': textClassification,
  'zero-shot-classification': zeroShotClassification,
  'token-classification': tokenClassification,
  'question-answering': questionAnswering,
  'fill-mask': fillMaskTask,
  'feature-extraction': featureExtraction,
  'next-sentence-prediction': nextSentencePrediction,
  'automatic-speech-recognition': automaticSpeechRecognition,
  'audio-classification': audioClassification,
  'audio-feature-extraction': audioFeatureExtraction,
  'image-classification': imageClassification,
  'object-detection': objectDetection,
  'image-segmentation': imageSegmentation,
  'depth-estimation': depthEstimation,
  'image-feature-extraction': imageFeatureExtraction,
  'text-generation': textGeneration,
  'text2text-generation': text2textGeneration,
  summarization,
  translation,
};

export function resolveTask(task: string): TaskDefinition {
  const id = Object.hasOwn(ALIASES, task) ? ALIASES[task as keyof TaskAliases] : task;
  if (Object.hasOwn(TASKS, id)) return TASKS[id as keyof TaskCalls];
  const pair = translationOf(String(task));
  if (pair) return pair;
  const names = [...Object.keys(TASKS), ...Object.keys(ALIASES)];
  const hint = nearest(String(task), names);
  throw new TareasError('unsupported', `There is no task '${task}'`, {
    remedy: hint ? `did you mean '${hint}'?` : `there are ${names.join(', ')}`,
  });
}
