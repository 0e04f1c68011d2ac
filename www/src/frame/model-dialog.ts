import { MODELS, keyOf, type Dropped, type ModelChoice } from '../engine/catalog.js';
import type { TaskId } from 'tareas';
import { fromDrop, fromFileList } from '../engine/files.js';
import { megabytes, t } from '../i18n/index.js';
import { button } from '../ui/controls.js';
import { h, on, uid } from '../ui/dom.js';

const HUB_ID = /^[\w.-]+\/[\w.-]+$/;

/** Asks for a model: one of the page's, any of the hub's, or files from the disk. `null`: as it was. */
export function chooseModel(task: TaskId, current: ModelChoice): Promise<ModelChoice | null> {
  const texts = t().models;
  return new Promise((resolve) => {
    const title = h('h2', { id: uid('dialog') }, texts.choose);
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': title.id });
    const finish = (choice: ModelChoice | null) => {
      resolve(choice);
      dialog.close();
    };
    dialog.append(
      h(
        'div',
        { class: 'row spread' },
        title,
        button(texts.close, 'button small ghost', () => finish(null)),
      ),
      offered(task, current, finish),
      hubForm(finish),
      diskForm(finish),
    );
    on(dialog, {
      close: () => {
        resolve(null);
        dialog.remove();
      },
      click: (event) => {
        if (event.target === dialog) finish(null);
      },
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

type Finish = (choice: ModelChoice) => void;

function offered(task: TaskId, current: ModelChoice, finish: Finish): HTMLElement {
  const texts = t().models;
  const cards = MODELS[task].map((choice) => {
    const size = choice.kind === 'hub' ? texts.download(megabytes(choice.download)) : texts.states.embedded;
    const licence = 'licence' in choice ? (choice.licence ?? texts.licenceThere) : '';
    const card = button(choice.id, 'option', () => finish(choice));
    card.append(h('span', { class: 'quiet' }, `${size} · ${licence}`));
    if (keyOf(choice) === keyOf(current)) card.setAttribute('aria-current', 'true');
    return h('li', {}, card);
  });
  return h('section', {}, h('h3', {}, texts.offered), h('ul', { class: 'options' }, ...cards));
}

function hubForm(finish: Finish): HTMLElement {
  const texts = t().models;
  const hint = h('p', { class: 'hint', id: uid('hint') }, texts.hubHint);
  const input = h('input', {
    type: 'text',
    id: uid('hub'),
    placeholder: 'owner/name',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    'aria-describedby': hint.id,
  });
  const form = h(
    'form',
    {},
    h('label', { for: input.id }, texts.hubId),
    h('div', { class: 'row' }, input, h('button', { type: 'submit', class: 'button' }, texts.use)),
    hint,
  );
  on(form, {
    submit: (event) => {
      event.preventDefault();
      // People paste addresses as often as ids.
      const id = input.value
        .trim()
        .replace(/^https?:\/\/huggingface\.co\//, '')
        .split('/')
        .slice(0, 2)
        .join('/');
      if (HUB_ID.test(id)) return finish({ kind: 'typed', id });
      input.setAttribute('aria-invalid', 'true');
      hint.textContent = texts.hubInvalid;
      input.focus();
    },
  });
  return h('section', {}, h('h3', {}, texts.anyHub), form);
}

function diskForm(finish: Finish): HTMLElement {
  const texts = t().models;
  const hint = h('p', { class: 'hint', 'aria-live': 'polite' }, texts.diskHint);
  const accept = (choice: Dropped | null) => {
    if (choice) finish(choice);
    else hint.textContent = texts.nothingUseful;
  };
  const zone = h(
    'div',
    { class: 'drop-zone' },
    h('p', {}, texts.dropHere),
    h('div', { class: 'row' }, picker(texts.folder, true, accept), picker(texts.files, false, accept)),
    hint,
  );
  on(zone, {
    dragover: (event) => event.preventDefault(),
    drop: (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (event.dataTransfer) void fromDrop(event.dataTransfer).then(accept);
    },
  });
  return h('section', {}, h('h3', {}, texts.disk), zone);
}

/** A file input that looks like a button and stays reachable by keyboard. */
function picker(text: string, directory: boolean, accept: (choice: Dropped | null) => void): HTMLElement {
  const input = h('input', { type: 'file', multiple: true, class: 'visually-hidden', id: uid('pick') });
  if (directory) input.webkitdirectory = true;
  input.addEventListener('change', () => accept(fromFileList(input.files ?? [])));
  return h(
    'span',
    { class: 'file-picker' },
    input,
    h('label', { for: input.id, class: 'button small ghost' }, text),
  );
}
