import { abortError, TareasError, toTareasError } from './errors.js';
import type { AudioBlock, Capture, CaptureEnd } from './media/microphone.js';
import type { EngineRun } from './tasks/common.js';
import type { TranscriptChunk } from './tasks/automatic-speech-recognition.js';

/** How to listen. */
export interface ListenOptions {
  /** Ends at once, without what is not final yet; `stop()` hears it to its end. */
  signal?: AbortSignal;
  /** Silence that ends an utterance, in seconds. Default 0.6. */
  pause_s?: number;
  /** Sound after a word that makes it final, in seconds. Default 0.35. */
  settle_s?: number;
  /** New sound between two guesses at least, in seconds. Default 0.2. */
  update_s?: number;
  /** What the model hears at once at most, in seconds. Default 10. */
  window_s?: number;
  /** Cut by voice activity. Default true; false takes everything for speech. */
  voice_activity?: boolean;
}

/** A word that will not change any more. */
export interface FinalWord extends TranscriptChunk {
  /** Counts the utterances, from 0. */
  utterance: number;
}

/** What became known since the last update. */
export interface ListenUpdate {
  /** Words that are final now; each comes once. Their seconds count from the session's start. */
  final: FinalWord[];
  /** The guess for what follows them. */
  partial: TranscriptChunk[];
  speaking: boolean;
  /** Level of the last 20 ms, in dB of full scale. */
  level: number;
  /** Seconds of sound that were heard. */
  time: number;
  /** Milliseconds from the end of the latest final word in the room to this update; null without one. */
  latency_ms: number | null;
  /** Seconds of sound that wait for the model. */
  behind_s: number;
  /** In the last update: why there are no more. */
  ended: CaptureEnd | null;
}

interface Heard {
  final: FinalWord[];
  partial: TranscriptChunk[];
  speaking: boolean;
  level: number;
  time: number;
}

/** Under this key a pipeline keeps its engine's run, for `listen()`. */
export const RUN = Symbol('run');

/** Sound of one call at most: between two calls others get their turn. */
const CALL_S = 5;
/** A model that is this far behind will not catch up, and memory is not endless. */
const BEHIND_S = 300;
/** Arrival times that are kept to tell latency. */
const MARKS = 1024;

let lastId = 0;

/**
 * Listening under way. Read it with `for await`; updates that nobody has read yet are merged, so a
 * reader that is slow gets fewer of them and loses no word.
 */
export class ListenSession implements AsyncIterable<ListenUpdate> {
  private readonly id = ++lastId;
  private readonly control = new AbortController();
  private blocks: AudioBlock[] = [];
  /** Seconds in `blocks`, and seconds that came in all. */
  private waiting = 0;
  private arrived = 0;
  private heard = 0;
  /** When which second of the stream had arrived: a ring. */
  private readonly marks: [second: number, ms: number][] = [];
  private mark = 0;
  private ended: CaptureEnd | null = null;
  private sourceError: TareasError | null = null;
  private update: ListenUpdate | null = null;
  private finished = false;
  private failure: TareasError | null = null;
  private wakePump: () => void = () => {};
  private wakeReader: () => void = () => {};
  /** Sources that wait for room. */
  private held: (() => void)[] = [];
  private readonly pumping: Promise<void>;
  private readonly settings: Record<string, unknown>;

  constructor(
    private readonly run: EngineRun,
    private readonly capture: Capture,
    options: ListenOptions,
  ) {
    const { signal, ...settings } = options;
    this.settings = settings;
    const abort = () => this.abort(signal?.reason);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
    this.pumping = this.begin().finally(() => signal?.removeEventListener('abort', abort));
  }

  /** Stops capturing, hears what is still to be heard, and ends the iteration. */
  async stop(): Promise<void> {
    await this.capture.stop();
    await this.pumping;
  }

  /** Ends at once: the iteration gives what is known already, then throws with code `aborted`. */
  abort(reason?: unknown): void {
    if (this.finished) return;
    this.control.abort(reason);
    this.wakePump();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ListenUpdate, void, void> {
    try {
      for (;;) {
        if (this.update) {
          const { update } = this;
          this.update = null;
          yield update;
        } else if (this.finished) {
          if (this.failure) throw this.failure;
          return;
        } else await new Promise<void>((resolve) => (this.wakeReader = resolve));
      }
    } finally {
      // A reader that leaves early wants no more.
      if (!this.finished) this.abort();
    }
  }

  private async begin(): Promise<void> {
    try {
      this.control.signal.throwIfAborted();
      await this.capture.start((block, why = 'ended', error) => this.take(block, why, error));
      await this.pump();
      if (this.sourceError) throw this.sourceError;
    } catch (error) {
      this.failure = this.control.signal.aborted ? abortError(this.control.signal) : toTareasError(error);
      // What the engine keeps of the stream is let go.
      this.run({ listen: this.id, drop: true }, {}).catch(() => {});
    }
    this.finished = true;
    this.blocks = [];
    for (const resolve of this.held.splice(0)) resolve();
    this.wakeReader();
    await this.capture.stop().catch(() => {});
  }

  private take(block: AudioBlock | null, why: CaptureEnd, error?: unknown): Promise<void> | void {
    if (this.finished) return;
    if (block) {
      const seconds = block.samples.length / block.sampling_rate;
      this.blocks.push(block);
      this.waiting += seconds;
      this.arrived += seconds;
      this.marks[this.mark++ % MARKS] = [this.arrived, performance.now()];
    } else {
      this.ended = why;
      if (error !== undefined) this.sourceError = toTareasError(error);
    }
    this.wakePump();
    // A file is not read faster than it is heard; a microphone does not wait.
    if (this.waiting > 2 * CALL_S) return new Promise((resolve) => this.held.push(resolve));
  }

  /** When a second of the stream had arrived. */
  private arrivalOf(second: number): number | null {
    let best: [number, number] | null = null;
    for (const mark of this.marks) if (mark[0] >= second && (!best || mark[0] < best[0])) best = mark;
    return best && best[1];
  }

  private async pump(): Promise<void> {
    const { signal } = this.control;
    for (;;) {
      while (this.blocks.length === 0 && !this.ended && !signal.aborted) {
        await new Promise<void>((resolve) => (this.wakePump = resolve));
      }
      signal.throwIfAborted();
      if (this.waiting > BEHIND_S) {
        throw new TareasError('input', `The model is ${BEHIND_S} seconds behind the microphone`, {
          remedy: 'use a smaller model, dtype q8 or the GPU',
        });
      }
      const at = this.arrived - this.waiting;
      const block = this.next();
      const end = this.ended !== null && this.blocks.length === 0;
      const input = { listen: this.id, time: at, end, ...(block ?? {}) };
      this.publish((await this.run(input, this.settings, signal)) as Heard, end);
      if (end) return;
    }
  }

  /** The blocks that go into the next call, as one. */
  private next(): AudioBlock | null {
    const [first] = this.blocks;
    if (!first) return null;
    const { sampling_rate } = first;
    let count = 0;
    let length = 0;
    for (const { samples, sampling_rate: rate } of this.blocks) {
      if (rate !== sampling_rate || (count > 0 && length + samples.length > CALL_S * rate)) break;
      length += samples.length;
      count++;
    }
    const samples = count === 1 ? first.samples : new Float32Array(length);
    if (count > 1) {
      let at = 0;
      for (const block of this.blocks.slice(0, count)) {
        samples.set(block.samples, at);
        at += block.samples.length;
      }
    }
    this.blocks.splice(0, count);
    this.waiting = this.blocks.length === 0 ? 0 : this.waiting - length / sampling_rate;
    this.heard += length / sampling_rate;
    for (const resolve of this.held.splice(0)) resolve();
    return { samples, sampling_rate };
  }

  private publish(heard: Heard, end: boolean): void {
    const last = heard.final.at(-1);
    const arrival = last ? this.arrivalOf(last.timestamp[1]) : null;
    const before = this.update;
    this.update = {
      final: before ? [...before.final, ...heard.final] : heard.final,
      partial: heard.partial,
      speaking: heard.speaking,
      level: heard.level,
      time: this.heard,
      latency_ms: arrival === null ? (before?.latency_ms ?? null) : performance.now() - arrival,
      behind_s: this.waiting,
      ended: end ? this.ended : null,
    };
    this.wakeReader();
  }
}
