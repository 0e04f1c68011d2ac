import type { Session } from '../engine/session.js';
import { megabytes, milliseconds, number, t } from '../i18n/index.js';
import { button } from '../ui/controls.js';
import { fill, h, on } from '../ui/dom.js';

export interface Report {
  element: HTMLElement;
  /** Whether calls should time their operations: while their table is open. */
  readonly profile: boolean;
  render(session: Session): void;
}

/** Times, memory, and where the time goes. `again` runs the panel's question once more. */
export function report(again: () => void): Report {
  const texts = () => t().report;
  const stats = h('dl', { class: 'stats' });
  const table = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': () => texts().perOp });
  const fold = h(
    'details',
    { class: 'fold' },
    h('summary', {}, () => texts().perOp),
    h('p', { class: 'hint' }, () => texts().perOpHint),
    table,
    button(() => texts().measure, 'button small ghost', again),
  );
  let drawn = '';
  on(fold, {
    toggle: () => {
      if (fold.open) again();
    },
  });
  const element = h('section', { class: 'card report', 'aria-label': () => texts().title }, stats, fold);
  return {
    element,
    render,
    get profile() {
      return fold.open;
    },
  };

  function render(session: Session): void {
    const ready = session.state.kind === 'ready';
    element.hidden = !ready;
    if (!ready) {
      drawn = '';
      return;
    }
    const { clock } = session;
    const rate = clock.rate();
    const key = [
      document.documentElement.lang,
      clock.loadMs,
      clock.firstMs,
      clock.median(),
      clock.count,
      rate,
    ].join();
    // A run changes these numbers once; typing in the meantime must not flicker them.
    if (key === drawn) return;
    drawn = key;
    void session.memory().then((memory) => {
      fill(
        stats,
        stat(texts().load, clock.loadMs, milliseconds),
        // A camera or a microphone has no one answer to time; what it has stands beside it.
        clock.count > 0 && stat(texts().first, clock.firstMs, milliseconds),
        clock.count > 0 && stat(texts().median(clock.count), clock.median(), milliseconds),
        rate !== null && stat(texts().rate, rate, (value) => texts().perSecond(number(value))),
        memory && stat(texts().weights, memory.weights, megabytes),
        memory && stat(texts().activations, memory.activations, megabytes),
        memory && stat(texts().heap, memory.heap, megabytes),
      );
    });
    if (fold.open) void drawTable(session);
  }

  async function drawTable(session: Session): Promise<void> {
    const rows = [...(await session.timings())].sort((a, b) => b.ms - a.ms);
    const total = rows.reduce((sum, row) => sum + row.ms, 0);
    if (rows.length === 0) {
      fill(table, h('p', { class: 'quiet' }, texts().noTimings));
      return;
    }
    const head = [texts().op, texts().calls, texts().ms, texts().share];
    fill(
      table,
      h(
        'table',
        { class: 'ops' },
        h('thead', {}, h('tr', {}, ...head.map((name) => h('th', { scope: 'col' }, name)))),
        h('tbody', {}, ...rows.map((row) => opRow(row.op, row.calls, row.ms, total))),
      ),
    );
  }
}

function opRow(op: string, calls: number, ms: number, total: number): HTMLElement {
  const share = total > 0 ? ms / total : 0;
  const meter = h('span', { class: 'bar-track', 'aria-hidden': 'true' }, h('span', { class: 'bar-fill' }));
  meter.style.setProperty('--score', String(share));
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, op),
    h('td', {}, number(calls)),
    h('td', {}, number(ms, 2)),
    h('td', {}, number(100 * share, 0), ' %', meter),
  );
}

function stat(name: string, value: number | null, format: (value: number) => string): HTMLElement {
  return h('div', { class: 'stat' }, h('dt', {}, name), h('dd', {}, value === null ? '–' : format(value)));
}
