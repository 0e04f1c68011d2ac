import { DEVICES, DTYPES, changeSettings, onSettings, settings } from '../engine/settings.js';
import { titleOf, type Embedded, type ModelChoice } from '../engine/catalog.js';
import type { Session } from '../engine/session.js';
import { t } from '../i18n/index.js';
import { button, select } from '../ui/controls.js';
import { fill, h } from '../ui/dom.js';

/** Which model, where it runs, how precisely; whose it is and under what licence. */
export function modelBar(
  pick: () => void,
  unload: () => void,
): { element: HTMLElement; render(session: Session): void } {
  const texts = () => t().models;
  const device = select({
    label: () => texts().device,
    options: entries(DEVICES, (key) => () => texts().devices[key]),
    value: settings.device,
    onChange: () => changeSettings({ device: device.value }),
  });
  const dtype = select({
    label: () => texts().dtype,
    options: entries(DTYPES, (key) => () => texts().dtypes[key]),
    value: settings.dtype,
    onChange: () => changeSettings({ dtype: dtype.value }),
  });
  onSettings(() => {
    device.value = settings.device;
    dtype.value = settings.dtype;
  });
  const name = h('span', { class: 'model-name break' });
  const badge = h('span', { class: 'badge' });
  const credit = h('p', { class: 'credit' });
  const free = button(() => texts().unload, 'button small ghost', unload);
  const notices = h('div', {});
  const element = h(
    'section',
    { class: 'model-bar', 'aria-label': () => texts().model },
    h(
      'div',
      { class: 'row model-row' },
      h(
        'div',
        { class: 'model-id' },
        name,
        badge,
        button(() => texts().change, 'button small ghost', pick),
        free,
      ),
      h('div', { class: 'row' }, device.element, dtype.element),
    ),
    credit,
    notices,
  );
  return { element, render };

  function render(session: Session): void {
    const { choice, state } = session;
    name.textContent = titleOf(choice);
    const running = state.kind === 'ready' ? state.info : null;
    free.hidden = state.kind !== 'ready';
    badge.dataset['state'] = state.kind;
    badge.textContent = running
      ? texts().running(texts().devices[running.device], running.dtype)
      : texts().states[state.kind === 'idle' ? choice.kind : state.kind];
    fill(credit, ...creditOf(choice));
    const said = [...session.notices];
    // The reason may go on with all that the driver had to say; its first clause is the reason.
    if (running?.fallback) said.unshift(texts().fallback(running.fallback.split(';')[0]!));
    fill(notices, ...said.map((sentence) => h('p', { class: 'aside' }, sentence)));
  }
}

function entries<T extends string, V>(keys: T[], value: (key: T) => V): Record<T, V> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<T, V>;
}

/** Author, licence, changes: beside the model, as CC BY asks. */
function creditOf(choice: ModelChoice): Node[] {
  const texts = t().models;
  if (choice.kind === 'typed') return [document.createTextNode(texts.typedCredit)];
  if (choice.kind === 'files') return [document.createTextNode(texts.filesCredit(choice.files.size))];
  const parts: Node[] = [
    link(`https://huggingface.co/${choice.id}`, choice.title),
    document.createTextNode(` · ${choice.author} · `),
    link(choice.licenceUrl, choice.licence),
  ];
  if (choice.kind === 'embedded') parts.push(...embeddedCredit(choice));
  return parts;
}

function embeddedCredit(choice: Embedded): Node[] {
  const texts = t().models;
  return [
    document.createTextNode(` · ${texts.changes[choice.changes]} · `),
    link(`models/${choice.folder}/LICENSE`, texts.licenceFile),
    document.createTextNode(' · '),
    link(`models/${choice.folder}/NOTICE`, texts.noticeFile),
  ];
}

function link(href: string, text: string): HTMLElement {
  return h('a', { href, target: '_blank', rel: 'noopener' }, text);
}
