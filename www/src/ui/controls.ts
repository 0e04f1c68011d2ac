import { follow, h, on, uid, type Text } from './dom.js';
import { t } from '../i18n/index.js';

export interface Field {
  element: HTMLElement;
  value: string;
  /** The control itself, for selections and focus. */
  control: HTMLTextAreaElement | HTMLInputElement;
}

interface FieldOptions {
  label: Text;
  value: string;
  hint?: Text;
  onInput: () => void;
  /** The language of what is typed; the embedded models read English. */
  lang?: string;
}

export function textArea(options: FieldOptions & { rows: number }): Field {
  const { rows, lang = 'en' } = options;
  const control = h('textarea', { id: uid('area'), rows, lang, dir: 'auto', spellcheck: 'false' });
  control.style.setProperty('--rows', String(rows));
  return field(control, options);
}

export function textField(options: FieldOptions): Field {
  const { lang = 'en' } = options;
  const control = h('input', {
    id: uid('field'),
    type: 'text',
    lang,
    dir: 'auto',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  return field(control, options);
}

function field(control: HTMLTextAreaElement | HTMLInputElement, options: FieldOptions): Field {
  control.value = options.value;
  control.addEventListener('input', options.onInput);
  const hint = options.hint === undefined ? null : h('p', { class: 'hint', id: uid('hint') }, options.hint);
  if (hint) control.setAttribute('aria-describedby', hint.id);
  const element = h('div', { class: 'field' }, h('label', { for: control.id }, options.label), control, hint);
  return {
    element,
    control,
    get value() {
      return control.value;
    },
    set value(text) {
      control.value = text;
    },
  };
}

/** Numbered buttons that put a prepared text into the inputs. */
export function samples(count: number, pick: (index: number) => void): HTMLElement {
  const buttons = Array.from({ length: count }, (_, index) =>
    on(
      h('button', { type: 'button', class: 'chip' }, () => t().common.sample(index + 1)),
      {
        click: () => pick(index),
      },
    ),
  );
  return h(
    'div',
    { class: 'row samples', role: 'group', 'aria-label': () => t().common.samples },
    ...buttons,
  );
}

/** The same for pictures, which are seen small on their buttons. */
export function thumbnails(urls: readonly string[], pick: (index: number) => void): HTMLElement {
  const buttons = urls.map((src, index) =>
    on(
      h(
        'button',
        { type: 'button', class: 'thumb', 'aria-label': () => t().common.sample(index + 1) },
        h('img', { src, alt: '', loading: 'lazy' }),
      ),
      { click: () => pick(index) },
    ),
  );
  return h(
    'div',
    { class: 'row samples', role: 'group', 'aria-label': () => t().common.samples },
    ...buttons,
  );
}

export interface Choice<T extends string> {
  element: HTMLElement;
  value: T;
}

interface ChoiceOptions<T extends string> {
  label: Text;
  options: Record<T, Text>;
  value: T;
  onChange: () => void;
}

/** Radio buttons that look like one switch; arrows move, as in any radio group. */
export function segmented<T extends string>({
  label,
  options,
  value,
  onChange,
}: ChoiceOptions<T>): Choice<T> {
  const name = uid('segment');
  const inputs: HTMLInputElement[] = [];
  const items = (Object.entries(options) as [T, Text][]).map(([key, text]) => {
    const input = h('input', { type: 'radio', name, value: key, id: uid('option') });
    input.checked = key === value;
    input.addEventListener('change', onChange);
    inputs.push(input);
    return h('span', {}, input, h('label', { for: input.id }, text));
  });
  return {
    element: h(
      'fieldset',
      { class: 'segmented' },
      h('legend', { class: 'visually-hidden' }, label),
      ...items,
    ),
    get value() {
      return (inputs.find((input) => input.checked)?.value ?? value) as T;
    },
    set value(next) {
      for (const input of inputs) input.checked = input.value === next;
    },
  };
}

export function select<T extends string>({ label, options, value, onChange }: ChoiceOptions<T>): Choice<T> {
  const control = h(
    'select',
    { id: uid('select') },
    ...(Object.entries(options) as [T, Text][]).map(([key, text]) => h('option', { value: key }, text)),
  );
  control.value = value;
  control.addEventListener('change', onChange);
  return {
    element: h('div', { class: 'field inline' }, h('label', { for: control.id }, label), control),
    get value() {
      return control.value as T;
    },
    set value(next) {
      control.value = next;
    },
  };
}

export interface Toggle {
  element: HTMLElement;
  checked: boolean;
}

export function toggle(label: Text, checked: boolean, onChange: () => void): Toggle {
  const input = h('input', { type: 'checkbox', role: 'switch', id: uid('toggle') });
  input.checked = checked;
  input.addEventListener('change', onChange);
  return {
    element: h('div', { class: 'toggle' }, input, h('label', { for: input.id }, label)),
    get checked() {
      return input.checked;
    },
    set checked(next) {
      input.checked = next;
    },
  };
}

/** A button whose text can change with what it would do. */
export function button(text: Text, className: string, click: () => void): HTMLButtonElement {
  const element = h('button', { type: 'button', class: className });
  follow(element, (el) => (el.textContent = typeof text === 'function' ? text() : text));
  element.addEventListener('click', click);
  return element;
}
