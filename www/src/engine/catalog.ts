import type { TaskId } from 'tareas';
import type { Dictionary } from '../i18n/en.js';

/** The models that the page offers by name. Anything else is typed in or dropped. */

export interface Card {
  /** `owner/name` on the hub. */
  id: string;
  title: string;
  author: string;
  /** `null`: the model's page says. */
  licence: string | null;
  licenceUrl: string | null;
}

/** Ships with the page, in `models/<folder>/` beside it. */
export interface Embedded extends Card {
  kind: 'embedded';
  folder: string;
  /** What was changed: CC BY asks for it, and it is fair to say in any case. `trained`: made for this page. */
  changes: 'quantized' | 'converted' | 'trained';
  /** What it is good at, in the page's languages. */
  about?: keyof Dictionary['about'];
  /** Pictures or clips in its folder, which it was not trained on. */
  samples?: readonly string[];
}

export interface Remote extends Card {
  kind: 'hub';
  /** Bytes of its model.safetensors, rounded: what a first visit downloads. */
  download: number;
}

/** A hub id that somebody typed: nothing is known about it. */
export interface Typed {
  kind: 'typed';
  id: string;
}

export interface Dropped {
  kind: 'files';
  /** The folder's name. */
  id: string;
  files: ReadonlyMap<string, File>;
  /** Two folders may have one name. */
  serial: number;
}

export type ModelChoice = Embedded | Remote | Typed | Dropped;

const APACHE = { licence: 'Apache-2.0', licenceUrl: 'https://www.apache.org/licenses/LICENSE-2.0' };
const MIT = { licence: 'MIT', licenceUrl: 'https://opensource.org/license/mit' };
/** Its own or unclear: the model's page says. */
const OWN = { licence: null, licenceUrl: null };

type Licence = Pick<Card, 'licence' | 'licenceUrl'>;

export const RAMPART: Embedded = {
  kind: 'embedded',
  id: 'nationaldesignstudio/rampart',
  folder: 'rampart',
  title: 'Rampart',
  author: 'National Design Studio',
  licence: 'CC BY 4.0',
  licenceUrl: 'https://creativecommons.org/licenses/by/4.0/',
  changes: 'converted',
};

export const MINILM: Embedded = {
  kind: 'embedded',
  id: 'sentence-transformers/all-MiniLM-L6-v2',
  folder: 'all-MiniLM-L6-v2',
  title: 'all-MiniLM-L6-v2',
  author: 'sentence-transformers',
  ...APACHE,
  changes: 'quantized',
};

/** Trained for this page by the scripts in tools/train: what it is good at, and how good, its card says. */
function trained(about: keyof Dictionary['about'], title: string, samples: readonly string[] = []): Embedded {
  const folder: string = about;
  return {
    kind: 'embedded',
    id: `tareas/${folder}`,
    folder,
    title,
    author: 'tareas',
    ...APACHE,
    changes: 'trained',
    about,
    ...(samples.length > 0 && { samples }),
  };
}

function hub(id: string, author: string, megabytes: number, licence: Licence = APACHE): Remote {
  const title = id.slice(id.indexOf('/') + 1);
  return { kind: 'hub', id, title, author, download: megabytes * 1e6, ...licence };
}

export const MODELS: Record<TaskId, [ModelChoice, ...ModelChoice[]]> = {
  'token-classification': [
    RAMPART,
    hub('dslim/bert-base-NER', 'David S. Lim', 433, MIT),
    hub('dslim/distilbert-NER', 'David S. Lim', 261),
  ],
  'feature-extraction': [
    MINILM,
    hub('sentence-transformers/multi-qa-MiniLM-L6-cos-v1', 'sentence-transformers', 91, OWN),
    hub('BAAI/bge-small-en-v1.5', 'BAAI', 133, MIT),
  ],
  'text-classification': [
    trained('topics', 'Software topics'),
    hub('distilbert/distilbert-base-uncased-finetuned-sst-2-english', 'Hugging Face', 268),
    hub('bhadresh-savani/distilbert-base-uncased-emotion', 'Bhadresh Savani', 268),
  ],
  'zero-shot-classification': [hub('typeform/distilbert-base-uncased-mnli', 'Typeform', 268, OWN)],
  'question-answering': [
    hub('distilbert/distilbert-base-cased-distilled-squad', 'Hugging Face', 261),
    hub('distilbert/distilbert-base-uncased-distilled-squad', 'Hugging Face', 265),
  ],
  'fill-mask': [
    trained('fillmask', 'Words of descriptions'),
    hub('distilbert/distilbert-base-uncased', 'Hugging Face', 268),
    hub('google-bert/bert-base-uncased', 'Google', 440),
  ],
  'text-generation': [
    trained('gpt2-packages', 'Package descriptions'),
    hub('openai-community/gpt2', 'OpenAI', 548, MIT),
    hub('distilbert/distilgpt2', 'Hugging Face', 353),
  ],
  'text2text-generation': [hub('google/flan-t5-small', 'Google', 308)],
  summarization: [
    hub('sshleifer/distilbart-cnn-12-6', 'Sam Shleifer', 1222),
    hub('facebook/bart-large-cnn', 'Facebook', 1625, MIT),
  ],
  translation: [
    hub('Helsinki-NLP/opus-mt-en-es', 'Helsinki-NLP', 312),
    hub('google-t5/t5-small', 'Google', 242),
  ],
  'next-sentence-prediction': [hub('google-bert/bert-base-uncased', 'Google', 440)],
  'automatic-speech-recognition': [hub('facebook/wav2vec2-base-960h', 'Facebook', 378)],
  'audio-classification': [hub('superb/wav2vec2-base-superb-ks', 'SUPERB', 378)],
  'audio-feature-extraction': [hub('facebook/wav2vec2-base', 'Facebook', 380)],
  'image-classification': [
    trained('things', 'Twenty-nine things', ['penguin.webp', 'strawberry.webp', 'car.webp']),
    hub('facebook/convnext-tiny-224', 'Facebook', 114),
    hub('microsoft/resnet-50', 'Microsoft', 103),
    hub('google/vit-base-patch16-224', 'Google', 346),
  ],
  'object-detection': [hub('facebook/detr-resnet-50', 'Facebook', 167)],
  'image-segmentation': [
    hub('nvidia/segformer-b0-finetuned-ade-512-512', 'NVIDIA', 15, OWN),
    hub('facebook/detr-resnet-50-panoptic', 'Facebook', 172),
    hub('facebook/mask2former-swin-tiny-coco-panoptic', 'Facebook', 190, OWN),
  ],
  'depth-estimation': [hub('vinvino02/glpn-nyu', 'Doyeon Kim', 245)],
  'image-feature-extraction': [hub('google/vit-base-patch16-224-in21k', 'Google', 346)],
};

/** Where an embedded model lies: beside the page, wherever that is served from. */
export function folderOf(choice: Embedded): string {
  return new URL(`models/${choice.folder}`, document.baseURI).href;
}

/** Its own samples, as addresses beside the page. */
export function samplesOf(choice: ModelChoice): string[] | undefined {
  if (choice.kind !== 'embedded') return undefined;
  return choice.samples?.map((file) => `models/${choice.folder}/${file}`);
}

/** What of the hub does the same task with more data and more layers. */
export function largerThan(task: TaskId): Remote | undefined {
  return MODELS[task].find((choice) => choice.kind === 'hub');
}

/** The same model, however it was chosen. */
export function keyOf(choice: ModelChoice): string {
  return choice.kind === 'files' ? `files:${choice.id}:${choice.serial}` : choice.id;
}

export function titleOf(choice: ModelChoice): string {
  return choice.kind === 'embedded' ? choice.title : choice.id;
}
