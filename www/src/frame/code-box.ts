import type { ModelChoice } from '../engine/catalog.js';
import type { AnyPanel } from '../panels/panel.js';
import { copyButton } from '../ui/copy.js';
import { h } from '../ui/dom.js';
import { t } from '../i18n/index.js';

/** The panel's call as a reader would write it, with the model of the moment. */
export function codeBox(
  panel: AnyPanel,
  call: () => string,
): { element: HTMLElement; update(choice: ModelChoice): void } {
  const code = h('code', { lang: 'en' });
  const element = h(
    'details',
    { class: 'card fold' },
    h('summary', {}, () => t().code.title),
    h('pre', { class: 'code', tabindex: 0, role: 'region', 'aria-label': () => t().code.title }, code),
    copyButton(
      () => t().code.copy,
      () => code.textContent ?? '',
    ),
  );
  return {
    element,
    update(choice) {
      const line = call();
      const name = /(?:await| of) (\w+)[.(]/.exec(line)?.[1] ?? 'run';
      code.textContent = [
        `import { pipeline } from 'tareas';`,
        ``,
        `const ${name} = await pipeline('${panel.task}', ${modelArgument(choice)});`,
        line.startsWith('await') ? `const result = ${line}` : line,
      ].join('\n');
    },
  };
}

function modelArgument(choice: ModelChoice): string {
  switch (choice.kind) {
    case 'embedded':
      return `'./models/${choice.folder}'`;
    case 'files':
      return `'${choice.id}', { files: input.files }`;
    default:
      return `'${choice.id}'`;
  }
}
