import { h, uid, type Text } from './dom.js';

export interface Slider {
  element: HTMLElement;
  value: number;
  /** Shown, or left out where it has no effect. */
  hidden: boolean;
}

interface SliderOptions {
  label: Text;
  min: number;
  max: number;
  step: number;
  value: number;
  /** The value as it is read; also what screen readers say. */
  show: (value: number) => string;
  onInput: () => void;
}

/** A range with its value beside the label. */
export function slider({ label, min, max, step, value, show, onInput }: SliderOptions): Slider {
  const control = h('input', { type: 'range', id: uid('slider'), min, max, step, value });
  const shown = h('output', { for: control.id });
  const update = () => {
    shown.textContent = show(control.valueAsNumber);
    control.setAttribute('aria-valuetext', shown.textContent);
  };
  control.addEventListener('input', () => {
    update();
    onInput();
  });
  update();
  const element = h(
    'div',
    { class: 'field' },
    h('div', { class: 'row spread slider-label' }, h('label', { for: control.id }, label), shown),
    control,
  );
  return {
    element,
    get value() {
      return control.valueAsNumber;
    },
    set value(next) {
      control.valueAsNumber = next;
      update();
    },
    get hidden() {
      return element.hidden === true;
    },
    set hidden(hide) {
      element.hidden = hide;
    },
  };
}
