import { DEVICES, DTYPES, changeSettings, onSettings, settings } from '../engine/settings.js';
import { largerThan, titleOf, type Embedded, type ModelChoice } from '../engine/catalog.js';
import type { Session } from '../engine/session.js';
import { megabytes, t } from '../i18n/index.js';
import { button, select } from '../ui/controls.js';
import { fill, h } from '../ui/dom.js';

/** Which model, where it runs, how precisely; whose it is and under what licence. */
export function modelBar(
  pick: () => void,
  unload: () => void,
  take: (choice: ModelChoice) => void,
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
  const advice = h('p', { class: 'aside', hidden: true });
  const notices = h('div', {});
  let advised = '';
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
    advice,
    notices,
  );
  return { element, render };

  /** Of a small model made for this page: what to take instead when it matters. */
  function advise({ task, choice }: Session): void {
    const larger = largerThan(task);
    const show = choice.kind === 'embedded' && choice.changes === 'trained' && larger !== undefined;
    const key = show ? [choice.id, document.documentElement.lang].join() : '';
    // Under the reader's focus it stays what it is.
    if (key === advised) return;
    advised = key;
    advice.hidden = !show;
    if (!show) return;
    const name = texts().larger(larger.id, megabytes(larger.download));
    // Nothing is fetched by it: the panel then offers the download.
    const switchTo = button(name, 'link', () => take(larger));
    const about = choice.about && t().about[choice.about];
    fill(advice, about && `${about} `, texts().demonstration, switchTo, '.');
  }

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
    advise(session);
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
  const made = choice.kind === 'embedded' && choice.changes === 'trained';
  const page = made ? cardUrl(choice) : `https://huggingface.co/${choice.id}`;
  const licence =
    choice.licence === null || choice.licenceUrl === null
      ? link(page, texts.licenceThere)
      : link(choice.licenceUrl, choice.licence);
  const parts: Node[] = [
    link(page, choice.title),
    document.createTextNode(` · ${choice.author} · `),
    licence,
  ];
  if (choice.kind === 'embedded') parts.push(...embeddedCredit(choice));
  return parts;
}

function cardUrl({ folder }: Embedded): string {
  return `models/${folder}/README.md`;
}

function embeddedCredit(choice: Embedded): Node[] {
  const texts = t().models;
  const changes = document.createTextNode(` · ${texts.changes[choice.changes]} · `);
  if (choice.changes === 'trained') return [changes, link(cardUrl(choice), texts.cardFile)];
  return [
    changes,
    link(`models/${choice.folder}/LICENSE`, texts.licenceFile),
    document.createTextNode(' · '),
    link(`models/${choice.folder}/NOTICE`, texts.noticeFile),
  ];
}

function link(href: string, text: string): HTMLElement {
  return h('a', { href, target: '_blank', rel: 'noopener' }, text);
}
