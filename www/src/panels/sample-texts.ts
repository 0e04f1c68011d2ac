import { samples } from '../ui/controls.js';
import { fill, h } from '../ui/dom.js';
import type { Host } from './panel.js';

interface SampleTexts<S> {
  /** What the model trained for this page is good at. */
  trained: readonly [S, ...S[]];
  /** For any other model. */
  others: readonly [S, ...S[]];
  read(): S;
  write(sample: S): void;
}

/** Buttons that put a prepared text into the inputs and ask, from the set that suits the model. */
export function sampleTexts<S extends string | readonly string[]>(
  host: Host,
  { trained, others, read, write }: SampleTexts<S>,
): { element: HTMLElement; reset(): void } {
  const element = h('div', {});
  const offered = () =>
    host.model.kind === 'embedded' && host.model.changes === 'trained' ? trained : others;
  const same = (a: S, b: S) => JSON.stringify(a) === JSON.stringify(b);
  const offer = () =>
    fill(
      element,
      samples(offered().length, (index) => {
        write(offered()[index]!);
        host.ask();
      }),
    );
  offer();
  write(offered()[0]);
  return {
    element,
    /** The model was changed: what somebody typed stays. */
    reset() {
      const now = read();
      if ([...trained, ...others].some((sample) => same(sample, now))) write(offered()[0]);
      offer();
    },
  };
}
