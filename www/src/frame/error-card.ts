import { env } from 'tareas';
import { keyOf } from '../engine/catalog.js';
import type { Session } from '../engine/session.js';
import { t } from '../i18n/index.js';
import { button } from '../ui/controls.js';
import { copyButton } from '../ui/copy.js';
import { h } from '../ui/dom.js';

interface Known {
  code: string;
  message: string;
  remedy: string;
  url: string | undefined;
}

/** What happened (in the page's language), why (the engine's words), what to do, and something to send along. */
export function errorCard(
  error: unknown,
  session: Session,
  retry: () => void,
  choose: () => void,
): HTMLElement {
  const { code, message, remedy, url } = read(error);
  const texts = t().errors;
  const what = texts.codes[code as keyof typeof texts.codes] ?? texts.codes.internal;
  return h(
    'div',
    { class: 'notice error', role: 'alert', 'data-code': code },
    h('h4', {}, what),
    h('p', { lang: 'en' }, message),
    remedy && h('p', {}, h('strong', {}, `${texts.remedy} `), h('span', { lang: 'en' }, remedy)),
    url && h('p', { class: 'quiet break' }, url),
    h(
      'div',
      { class: 'row' },
      button(texts.retry, 'button small', retry),
      button(texts.chooseModel, 'button small ghost', choose),
      copyButton(texts.copyDetails, () => details(error, session)),
      h('span', { class: 'quiet code-name' }, texts.code(code)),
    ),
  );
}

function read(error: unknown): Known {
  const record = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof record[name] === 'string' ? (record[name] as string) : '');
  const remedy = text('remedy');
  const full = text('message') || String(error);
  // The package ends its messages with the remedy in brackets; here it has a line of its own.
  const message = remedy && full.endsWith(`(${remedy})`) ? full.slice(0, -remedy.length - 2).trim() : full;
  return { code: text('code') || 'internal', message, remedy, url: text('url') || undefined };
}

function details(error: unknown, session: Session): string {
  const stack = error instanceof Error ? error.stack : undefined;
  const { task, device, dtype, choice } = session;
  return JSON.stringify(
    {
      ...read(error),
      task,
      model: keyOf(choice),
      device,
      dtype,
      version: env.version,
      browser: navigator.userAgent,
      stack,
    },
    null,
    2,
  );
}
