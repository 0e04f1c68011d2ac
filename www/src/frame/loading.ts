import type { TaskId } from 'tareas';
import { MODELS, type ModelChoice } from '../engine/catalog.js';
import type { Progress } from '../engine/session.js';
import { megabytes, t } from '../i18n/index.js';
import { h } from '../ui/dom.js';

/** What will happen at the button's press, before anything is fetched. */
export function offerCard(task: TaskId, choice: ModelChoice): HTMLElement {
  const texts = t().offer;
  switch (choice.kind) {
    case 'hub':
      return h(
        'div',
        { class: 'notice' },
        h('h4', {}, texts.title),
        MODELS[task][0].kind !== 'embedded' && h('p', {}, texts.none),
        h('p', {}, texts.hub(choice.id, megabytes(choice.download))),
        h('p', { class: 'quiet' }, texts.kept),
        h('p', { class: 'quiet' }, texts.author(choice.author, choice.licence ?? t().models.licenceThere)),
      );
    case 'typed':
      return h('div', { class: 'notice' }, h('h4', {}, texts.title), h('p', {}, texts.typed(choice.id)));
    default:
      return h('div', { class: 'notice' }, h('p', {}, texts.local));
  }
}

export function progressCard(progress: Progress, model: string): HTMLElement {
  const texts = t().loading;
  const { loaded, total, phase } = progress;
  const known = total > 0;
  const bar = h('progress', {
    class: 'progress',
    max: 1,
    value: known ? Math.min(1, loaded / total) : undefined,
    'aria-label': texts.title(model),
  });
  const bytes = known ? texts.bytes(megabytes(loaded), megabytes(total)) : '';
  const files = Object.entries(progress.files).map(([file, sizes]) =>
    h(
      'li',
      {},
      h('span', { class: 'break' }, file),
      h(
        'span',
        { class: 'count' },
        sizes.loaded >= sizes.total && sizes.total > 0 ? '✓ ' : '',
        megabytes(sizes.loaded),
      ),
    ),
  );
  return h(
    'div',
    { class: 'notice loading' },
    h('h4', {}, texts.title(model)),
    bar,
    h(
      'p',
      { class: 'row spread quiet' },
      h('span', {}, phase ? texts.phases[phase] : texts.phases.download),
      h('span', {}, bytes),
    ),
    files.length > 0 && h('ul', { class: 'files' }, ...files),
  );
}
