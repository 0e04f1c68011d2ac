import type { TaskCalls } from './tasks/index.js';

/** The model of each task where none is named. */
export const DEFAULT_MODELS: Readonly<Record<keyof TaskCalls, string>> = {
  'text-classification': 'distilbert/distilbert-base-uncased-finetuned-sst-2-english',
  'zero-shot-classification': 'typeform/distilbert-base-uncased-mnli',
  'token-classification': 'dslim/bert-base-NER',
  'question-answering': 'distilbert/distilbert-base-cased-distilled-squad',
  'fill-mask': 'google-bert/bert-base-uncased',
  'feature-extraction': 'sentence-transformers/all-MiniLM-L6-v2',
  'next-sentence-prediction': 'google-bert/bert-base-uncased',
  'automatic-speech-recognition': 'facebook/wav2vec2-base-960h',
  'audio-classification': 'superb/wav2vec2-base-superb-ks',
  'audio-feature-extraction': 'facebook/wav2vec2-base',
  'image-classification': 'google/vit-base-patch16-224',
  'object-detection': 'facebook/detr-resnet-50',
  'image-segmentation': 'facebook/detr-resnet-50-panoptic',
  'depth-estimation': 'vinvino02/glpn-nyu',
  'image-feature-extraction': 'google/vit-base-patch16-224-in21k',
  'text-generation': 'openai-community/gpt2',
  'text2text-generation': 'google-t5/t5-base',
  summarization: 'sshleifer/distilbart-cnn-12-6',
  translation: 'google-t5/t5-base',
};
