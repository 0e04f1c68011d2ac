/** What the panels that write share: text as it comes, how each token was chosen, and beams. */
import type { BeamText, CallOptions, Piece, TaskCalls, Token } from 'tareas';
import { isAbort } from '../engine/session.js';
import { milliseconds, number, percent, t } from '../i18n/index.js';
import { bars } from '../ui/bars.js';
import { button } from '../ui/controls.js';
import { fill, h, on } from '../ui/dom.js';
import { slider, type Slider } from '../ui/slider.js';
import { tooltip } from '../ui/tooltip.js';
import type { Host, Run } from './panel.js';

export type WritingTask = 'text-generation' | 'summarization' | 'translation';

/** How many candidates are reported of each token. */
const CANDIDATES = 5;

/** Options of a call whose tokens say how they were chosen. */
export const EXPLAINED = { output_scores: true, top_candidates: CANDIDATES };

export interface Writer<T extends WritingTask> {
  /** What is written, for the panel's output. */
  element: HTMLElement;
  /** Ends the text where it is; for the panel's input. */
  stop: HTMLElement;
  /** Follows a stream to its end, or until it is stopped. Gives the text without the prompt. */
  write(
    run: Run<T>,
    start: (pipe: TaskCalls[T], options: CallOptions) => AsyncGenerator<Piece>,
    prompt?: string,
  ): Promise<string>;
  redraw(): void;
  clear(): void;
}

/** A piece of text with the tokens that it came from. */
interface Part {
  text: string;
  tokens: Token[];
}

interface Draft {
  prompt: string;
  parts: Part[];
  /** Tokens without a whole character so far. */
  pending: Token[];
  beams: BeamText[];
  picked: number;
  over: boolean;
  tokens: number;
  firstMs: number;
  lastMs: number;
}

function blank(prompt: string): Draft {
  const counts = { tokens: 0, firstMs: 0, lastMs: 0 };
  return { prompt, parts: [], pending: [], beams: [], picked: 0, over: false, ...counts };
}

export function writer<T extends WritingTask>(host: Host): Writer<T> {
  const texts = () => t().writing;
  const written = h('div', {
    class: 'marked written',
    role: 'group',
    tabindex: -1,
    dir: 'auto',
    'aria-label': () => texts().written,
  });
  const hint = h('p', { class: 'hint' }, () => texts().hint);
  const figures = h('p', { class: 'hint', 'data-testid': 'figures' });
  const versions = h('div', {});
  const stop = button(
    () => texts().stop,
    'button stop',
    () => stopping?.abort(),
  );
  const stopSlot = h('div', { hidden: true }, stop);
  let stopping: AbortController | null = null;
  let draft = blank('');
  roving(written);

  async function write(
    run: Run<T>,
    start: (pipe: TaskCalls[T], options: CallOptions) => AsyncGenerator<Piece>,
    prompt = '',
  ): Promise<string> {
    const mine = new AbortController();
    stopping = mine;
    draft = blank(prompt);
    redraw();
    stopSlot.hidden = false;
    try {
      await run(async (pipe, options) => {
        const began = performance.now();
        const signal = AbortSignal.any([mine.signal, ...(options.signal ? [options.signal] : [])]);
        try {
          for await (const piece of start(pipe, { ...options, signal })) {
            // The model was changed in the meantime: this is no longer what is shown.
            if (stopping !== mine) return;
            add(piece, performance.now() - began);
            host.show();
          }
        } catch (error) {
          if (!mine.signal.aborted || !isAbort(error)) throw error;
        }
      });
    } finally {
      if (stopping === mine) end();
    }
    return wholeText();
  }

  function end(): void {
    stopping = null;
    draft.over = true;
    const ended = draft.beams.filter((beam) => beam.done);
    // A search that was stopped has no ended versions: those under way are shown as they are.
    draft.beams = ended.length > 0 ? ended : draft.beams;
    draft.beams.sort((a, b) => b.score - a.score);
    const focused = document.activeElement === stop;
    stopSlot.hidden = true;
    redraw();
    if (focused) written.focus();
  }

  function add(piece: Piece, ms: number): void {
    if (piece.prompt !== 0 || piece.sequence !== 0) return;
    if (piece.token || piece.beams) {
      draft.tokens += 1;
      draft.lastMs = ms;
      if (draft.tokens === 1) draft.firstMs = ms;
    }
    if (piece.token) draft.pending.push(piece.token);
    if (piece.text) {
      const part = { text: piece.text, tokens: draft.pending };
      draft.pending = [];
      draft.parts.push(part);
      if (!piece.beams) written.append(partOf(part, draft.parts.length === 1));
    }
    if (piece.beams) {
      draft.beams = piece.beams;
      drawBeams();
    }
    drawFigures();
  }

  function firmText(): string {
    return draft.parts.map((part) => part.text).join('');
  }

  function wholeText(): string {
    return draft.beams[draft.picked]?.text ?? firmText();
  }

  function redraw(): void {
    if (draft.beams.length > 0) drawBeams();
    else {
      const prompt = draft.prompt && h('span', { class: 'prompt' }, draft.prompt);
      fill(written, prompt, ...draft.parts.map((part, index) => partOf(part, index === 0)));
      fill(versions);
    }
    drawFigures();
  }

  function drawFigures(): void {
    const explained = draft.parts.some((part) => part.tokens.length > 0);
    hint.hidden = !explained;
    const { tokens, firstMs, lastMs } = draft;
    const rate = tokens > 1 ? (1000 * (tokens - 1)) / Math.max(1, lastMs - firstMs) : null;
    const speed = rate === null ? null : number(rate, rate < 10 ? 1 : 0);
    figures.textContent = tokens === 0 ? '' : texts().figures(number(tokens), milliseconds(firstMs), speed);
  }

  /** What all beams agree on is firm, the rest of the best one may change. */
  function drawBeams(): void {
    const { beams, over, picked } = draft;
    const shown = over ? beams : beams.filter((beam) => !beam.done);
    const firm = firmText();
    const best = shown[picked]?.text ?? firm;
    if (over) fill(written, best);
    else
      fill(written, firm, best.startsWith(firm) && h('span', { class: 'partial' }, best.slice(firm.length)));
    if (shown.length === 0) return;
    const top = Math.max(...shown.map((beam) => beam.score));
    const items = shown.map(({ text, score }) => ({
      label: text,
      score: Math.exp(score - top),
      value: number(score, 2),
    }));
    const name = over ? texts().versions : texts().underWay;
    const pick = (_: unknown, index: number) => {
      draft.picked = index;
      drawBeams();
      versions.querySelectorAll('button')[index]?.focus();
    };
    fill(versions, h('h4', {}, name), bars(items, over ? { name, picked, onPick: pick } : { name }));
  }

  return {
    element: h('div', { class: 'stack' }, written, hint, figures, versions),
    stop: stopSlot,
    write,
    redraw,
    clear() {
      stopping?.abort();
      stopping = null;
      stopSlot.hidden = true;
      draft = blank('');
      redraw();
    },
  };
}

/** The fainter, the less likely; what else it could have been is in the tooltip. */
function partOf({ text, tokens }: Part, first: boolean): Node {
  const last = tokens.at(-1);
  if (!last) return document.createTextNode(text);
  const element = h('span', { class: 'token', tabindex: first ? 0 : -1 }, text);
  const sure = last.logprob === undefined ? 1 : Math.exp(last.logprob);
  element.style.setProperty('--sure', String(Math.round(100 * sure)));
  return tooltip(element, tokens.flatMap(candidateRows));
}

function candidateRows({ id, text, logprob, candidates = [] }: Token): [string, string][] {
  const listed = [...candidates];
  if (logprob !== undefined && !listed.some((one) => one.id === id)) listed.push({ id, text, logprob });
  return listed.map((one) => [
    one.id === id ? `${visible(one.text)} ✓` : visible(one.text),
    percent(Math.exp(one.logprob)),
  ]);
}

/** A token's spaces and line ends, for the eye. */
function visible(text: string): string {
  return text.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥') || '∅';
}

/** One tab stop for all tokens; arrow keys move between them. */
function roving(group: HTMLElement): void {
  const tokens = () => [...group.querySelectorAll<HTMLElement>('.token')];
  on(group, {
    focusin: ({ target }) => {
      for (const token of tokens()) token.tabIndex = token === target ? 0 : -1;
    },
    keydown: (event) => {
      const all = tokens();
      const at = all.indexOf(event.target as HTMLElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
      const next = to === undefined ? undefined : all[to];
      if (!next) return;
      event.preventDefault();
      next.focus();
    },
  });
}

/** How many versions a search keeps; with one, each token shows its candidates. */
export function beamSlider(changed: () => void): Slider {
  return slider({
    label: () => t().writing.beams,
    min: 1,
    max: 8,
    step: 1,
    value: 4,
    show: (value) => number(value),
    onInput: changed,
  });
}

export function lengthSlider(max: number, value: number, changed: () => void): Slider {
  const options = { label: () => t().writing.length, min: 5, max, step: 5, value, onInput: changed };
  return slider({ ...options, show: (tokens) => number(tokens) });
}

/** Options of a search with so many beams. */
export function searchOptions(beams: number, length: number) {
  return { num_beams: beams, max_new_tokens: length, ...(beams === 1 ? EXPLAINED : {}) };
}

/** `{ a: 1, b: true }`, as one would write it. */
export function written(options: Record<string, unknown>): string {
  const entries = Object.entries(options).map(([name, value]) => `${name}: ${literal(value)}`);
  return `{ ${entries.join(', ')} }`;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value.replaceAll(/['\\]/g, '\\$&')}'` : String(value);
}
