import { classify } from './classify.js';
import { depth } from './depth.js';
import { entities } from './entities.js';
import { fillMask } from './fill-mask.js';
import { generate } from './generate.js';
import { nextSentence } from './next-sentence.js';
import { objects } from './objects.js';
import type { AnyPanel } from './panel.js';
import { picture } from './picture.js';
import { question } from './question.js';
import { search } from './search.js';
import { segments } from './segments.js';
import { sounds } from './sounds.js';
import { speech } from './speech.js';
import { similarity } from './similarity.js';
import { summarize } from './summarize.js';
import { translate } from './translate.js';
import { zeroShot } from './zero-shot.js';

/** The demo's tasks in their order in the navigation. The first one opens, and should answer at once. */
export const PANELS: [AnyPanel, ...AnyPanel[]] = [
  entities,
  search,
  similarity,
  classify,
  zeroShot,
  question,
  fillMask,
  nextSentence,
  picture,
  objects,
  segments,
  depth,
  speech,
  sounds,
  generate,
  summarize,
  translate,
];
