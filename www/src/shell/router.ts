import { MODELS } from '../engine/catalog.js';
import { firstAnswer } from '../engine/clock.js';
import { Frame } from '../frame/frame.js';
import { t } from '../i18n/index.js';
import { PANELS } from '../panels/registry.js';
import type { AnyPanel } from '../panels/panel.js';
import { follow, h, setAttribute, svg } from '../ui/dom.js';
import { slot } from './header.js';

const frames = new Map<string, Frame>();
const links = new Map<string, HTMLAnchorElement>();

/** One panel at a time, named by the address; panels keep their state while others are shown. */
export function mountRouter(): void {
  mountNavigation();
  window.addEventListener('hashchange', () => show(true));
  show(false);
}

function mountNavigation(): void {
  const families = [...new Set(PANELS.map((panel) => panel.family))];
  const groups = families.map((family) => {
    const items = PANELS.filter((panel) => panel.family === family).map((panel) =>
      h('li', {}, navLink(panel)),
    );
    const list = h('ul', {}, ...items);
    // With one family only, its heading would say nothing.
    return families.length > 1
      ? h(
          'div',
          {},
          h('h2', {}, () => t().families[family]),
          list,
        )
      : list;
  });
  const nav = slot('nav');
  follow(nav, () => nav.setAttribute('aria-label', t().site.tasks));
  const legend = h('p', { class: 'nav-legend' }, h('span', { class: 'dot' }), () => t().site.legend);
  nav.replaceChildren(...groups, legend);
}

function navLink(panel: AnyPanel): HTMLAnchorElement {
  const builtIn = MODELS[panel.task][0].kind === 'embedded';
  const link = h(
    'a',
    { href: `#/${panel.id}` },
    svg('0 0 24 24', panel.glyph, 'tile'),
    h('span', {}, () => t().panels[panel.id].nav),
    builtIn &&
      h(
        'span',
        { class: 'dot', title: () => t().common.builtIn },
        h('span', { class: 'visually-hidden' }, () => t().common.builtIn),
      ),
  );
  links.set(panel.id, link);
  return link;
}

function show(navigated: boolean): void {
  const [id, how] = location.hash.replace(/^#\//, '').split('/');
  // The skip link points at the main landmark and names no panel.
  if (navigated && !PANELS.some((panel) => panel.id === id)) return;
  const panel = PANELS.find((one) => one.id === id) ?? PANELS[0];
  let frame = frames.get(panel.id);
  if (!frame) {
    frame = new Frame(panel);
    frames.set(panel.id, frame);
    slot('panels').append(frame.element);
  }
  for (const [other, { element }] of frames) element.hidden = other !== panel.id;
  for (const [other, link] of links) setAttribute(link, 'aria-current', other === panel.id ? 'page' : null);
  if (navigated) {
    frame.heading.focus({ preventScroll: true });
    slot('panels').scrollIntoView({ block: 'start' });
  }
  links.get(panel.id)?.scrollIntoView({ block: 'nearest', inline: 'center' });
  // A microphone that opens needs a click before; an address that was typed is none.
  if (how === 'live') return frame.openLive(navigated);
  if (!navigated && frame.startsItself) firstAnswer.expect();
  frame.open();
}
