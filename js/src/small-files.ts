import type { TaskId } from './engine.js';

/** The files of a repository that a task needs besides config.json and the weights. */
export interface SmallFiles {
  /** Read where they are there. */
  optional: readonly string[];
  /** Sets of files of which the first that is complete is read; one has to be there. */
  oneOf: readonly (readonly string[])[];
}

const TEXT: SmallFiles = {
  optional: ['tokenizer_config.json', 'special_tokens_map.json'],
  oneOf: [['tokenizer.json'], ['vocab.txt'], ['vocab.json', 'merges.txt']],
};

const SOUND: SmallFiles = { optional: [], oneOf: [['preprocessor_config.json']] };

const IMAGE: SmallFiles = { optional: [], oneOf: [['preprocessor_config.json']] };

/** Special tokens and settings, and a tokenizer in whatever form there is. */
const WRITING: SmallFiles = {
  optional: ['tokenizer_config.json', 'special_tokens_map.json', 'generation_config.json'],
  oneOf: [
    ['tokenizer.json'],
    ['vocab.json', 'merges.txt'],
    ['source.spm', 'vocab.json'],
    ['spiece.model'],
    ['sentencepiece.bpe.model'],
  ],
};

const FILES: Record<TaskId, SmallFiles> = {
  'text-classification': TEXT,
  'zero-shot-classification': TEXT,
  'token-classification': TEXT,
  'question-answering': TEXT,
  'fill-mask': TEXT,
  'feature-extraction': TEXT,
  'next-sentence-prediction': TEXT,
  'automatic-speech-recognition': {
    optional: ['tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'],
    oneOf: [['preprocessor_config.json', 'vocab.json']],
  },
  'audio-classification': SOUND,
  'audio-feature-extraction': SOUND,
  'image-classification': IMAGE,
  'object-detection': IMAGE,
  'image-segmentation': IMAGE,
  'depth-estimation': IMAGE,
  'image-feature-extraction': IMAGE,
  'text-generation': WRITING,
  'text2text-generation': WRITING,
  summarization: WRITING,
  translation: WRITING,
};

export function smallFiles(task: TaskId): SmallFiles {
  return FILES[task];
}
