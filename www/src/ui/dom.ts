import { onLanguage } from '../i18n/index.js';

/** A string, or a function of the current language: the latter follows the language switch. */
export type Text = string | (() => string);
export type Child = Node | Text | null | undefined | false;

type Attributes = Record<string, Text | number | boolean | null | undefined>;
type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
export type Props = Attributes & { on?: never };

/**
 * `h('button', { type: 'button', disabled: true }, 'Run')`. Attributes are set as attributes;
 * `false`, `null` and `undefined` leave one out. A function among the attributes or children is
 * a text of the dictionary, set again when the language changes.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') follow(element, (el) => el.setAttribute(name, value()));
    else setAttribute(element, name, value);
  }
  append(element, children);
  return element;
}

/** Listeners apart from attributes, so that both keep their types. */
export function on<E extends HTMLElement>(element: E, handlers: Handlers): E {
  for (const [name, handler] of Object.entries(handlers)) {
    element.addEventListener(name, handler as EventListener);
  }
  return element;
}

export function setAttribute(
  element: Element,
  name: string,
  value: string | number | boolean | null | undefined,
): void {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

export function append(parent: Element | DocumentFragment, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (typeof child === 'function') {
      const text = document.createTextNode('');
      follow(text, (node) => (node.data = child()));
      parent.append(text);
    } else {
      parent.append(child);
    }
  }
}

/** The element's children become these. */
export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

interface Follower {
  node: WeakRef<Node>;
  update(node: Node): void;
}
let followers: Follower[] = [];

/** Runs `update` now and at every change of language, for as long as the node lives. */
export function follow<N extends Node>(node: N, update: (node: N) => void): void {
  update(node);
  followers.push({ node: new WeakRef(node), update: update as (node: Node) => void });
}

onLanguage(() => {
  followers = followers.filter((follower) => {
    const node = follower.node.deref();
    if (node) follower.update(node);
    return node !== undefined;
  });
});

const SVG = 'http://www.w3.org/2000/svg';

/** Decorative: screen readers skip it. */
export function svg(viewBox: string, paths: [d: string, className: string][], className = ''): SVGSVGElement {
  const root = document.createElementNS(SVG, 'svg');
  root.setAttribute('viewBox', viewBox);
  root.setAttribute('aria-hidden', 'true');
  root.setAttribute('focusable', 'false');
  if (className) root.setAttribute('class', className);
  for (const [d, name] of paths) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    path.setAttribute('class', name);
    root.append(path);
  }
  return root;
}

let counter = 0;
/** A fresh id for `for`, `aria-labelledby` and the like. */
export function uid(prefix: string): string {
  counter += 1;
  return `${prefix}-${counter}`;
}
