import type { CallOptions, TaskCalls, TaskId } from 'tareas';
import type { ModelChoice } from '../engine/catalog.js';
import type { Dictionary } from '../i18n/en.js';

/**
 * A timed call of the panel's model, cancelled by the frame's Cancel button:
 * `run((pipe, options) => pipe(text, { top_k: 5, ...options }))`. `units` texts or tokens give a throughput;
 * with 0 of them the call goes on until it is stopped, and its time is not counted.
 */
export type Run<T extends TaskId> = <R>(
  call: (pipe: TaskCalls[T], options: CallOptions) => Promise<R>,
  units?: number,
) => Promise<R>;

export interface Host {
  /** The model of the moment. */
  readonly model: ModelChoice;
  /** The inputs changed: a panel that answers as you type asks again, others do nothing. */
  changed(): void;
  /** Ask now. */
  ask(): void;
  /** The answer can be seen already, though more of it will come. */
  show(): void;
}

export interface View<T extends TaskId> {
  /** The controls. */
  input: HTMLElement;
  /** Where the answer is drawn. */
  output: HTMLElement;
  /**
   * Reads the controls, calls the model, draws the answer. Gives the sentence that a screen reader
   * hears, or `null` when there is nothing to ask.
   */
  answer(run: Run<T>): Promise<string | null>;
  /** Draws the last answer again, in the language of the moment. */
  redraw(): void;
  /** The call as a reader would write it, for the "In your own code" box: `await name(…)`. */
  code(): string;
  /** The model was changed: answers kept from the old one are no longer worth anything. */
  reset?(): void;
  /** Turns to the camera or the microphone, where the panel has one. Nothing is asked yet. */
  goLive?(): void;
  /** What the button would do, where that is not the panel's one thing. */
  askLabel?(): string | null;
}

/** One task of the demo. To add one: a file beside this one, and its line in registry.ts. */
export interface Panel<T extends TaskId> {
  /** The route (`#/id`), and the key of its texts in the dictionary. */
  id: keyof Dictionary['panels'];
  task: T;
  family: keyof Dictionary['families'];
  /** The tile in the navigation, on a 24 x 24 grid; class `a` is the main colour, `b` the accent. */
  glyph: [d: string, className: 'a' | 'b'][];
  /** Small models answer as you type. */
  live: boolean;
  create(host: Host): View<T>;
}

/** A panel of whichever task. What it calls with, only the panel itself needs to know. */
export interface AnyPanel extends Panel<any> {
  task: TaskId;
}
