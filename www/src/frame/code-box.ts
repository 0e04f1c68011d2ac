import { copyButton } from '../ui/copy.js';
import { h } from '../ui/dom.js';
import { t } from '../i18n/index.js';
import { MODELS } from '../engine/catalog.js';
import type { AnyPanel } from '../panels/panel.js';

/** The panel's call as a reader would write it. */
export function codeBox(panel: AnyPanel, call: () => string): { element: HTMLElement; update(): void } {
  const code = h('code', { lang: 'en' });
  const model = MODELS[panel.task][0];
  const update = () => {
    const line = call();
    const name = /await (\w+)\(/.exec(line)?.[1] ?? 'run';
    code.textContent = [
      `import { pipeline } from 'tareas';`,
      ``,
      `const ${name} = await pipeline('${panel.task}', '${model.id}');`,
      `const result = ${line}`,
    ].join('\n');
  };
  update();
  const element = h(
    'details',
    { class: 'card fold' },
    h('summary', {}, () => t().code.title),
    h('pre', { class: 'code', tabindex: 0, 'aria-label': () => t().code.title }, code),
    copyButton(
      () => t().code.copy,
      () => code.textContent ?? '',
    ),
  );
  return { element, update };
}
