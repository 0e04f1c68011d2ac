import { pipeline } from 'tareas';
import { folderOf, keyOf, type ModelChoice } from './catalog.js';
import type {
  CallOptions,
  Device,
  DType,
  MemoryReport,
  OpTiming,
  PhaseEvent,
  Pipeline,
  PipelineInfo,
  ProgressEvent,
  TaskCalls,
  TaskId,
} from 'tareas';
import { RunClock } from './clock.js';

export interface Progress {
  /** Bytes of all files together; `total` is 0 until it is known. */
  loaded: number;
  total: number;
  files: Record<string, { loaded: number; total: number }>;
  /** The phase under way, when it is not the download. */
  phase: PhaseEvent['phase'] | null;
}

export type State =
  | { kind: 'idle' }
  | { kind: 'loading'; progress: Progress }
  | { kind: 'ready'; info: PipelineInfo }
  | { kind: 'failed'; error: unknown };

/** One loaded model: loading it, calling it, its times and its memory. Panels share sessions through the pool. */
export class Session<T extends TaskId = TaskId> {
  state: State = { kind: 'idle' };
  readonly clock = new RunClock();
  notices: string[] = [];
  private pipe: Pipeline<T> | undefined;
  private loading: Promise<void> | undefined;
  private abort: AbortController | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(
    readonly task: T,
    readonly choice: ModelChoice,
    readonly device: Device,
    readonly dtype: DType,
  ) {}

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Loads once; concurrent calls wait for the same load. Failure is a state, and thrown too. */
  load(): Promise<void> {
    if (this.state.kind === 'ready') return Promise.resolve();
    this.loading ??= this.start().finally(() => (this.loading = undefined));
    return this.loading;
  }

  cancelLoad(): void {
    this.abort?.abort();
  }

  private async start(): Promise<void> {
    const began = performance.now();
    const progress: Progress = { loaded: 0, total: 0, files: {}, phase: null };
    this.abort = new AbortController();
    this.notices = [];
    this.enter({ kind: 'loading', progress });
    try {
      const { choice, device, dtype } = this;
      const pipe = await pipeline(this.task, placeOf(choice), {
        device,
        dtype,
        files: choice.kind === 'files' ? choice.files : null,
        signal: this.abort.signal,
        progress_callback: this.follow(progress),
      });
      // Unloaded in the very moment in which the load ended.
      if (this.abort.signal.aborted) {
        await pipe.dispose();
        throw this.abort.signal.reason;
      }
      this.pipe = pipe;
      this.clock.loaded(performance.now() - began);
      this.enter({ kind: 'ready', info: pipe.info() });
    } catch (error) {
      this.enter(isAbort(error) ? { kind: 'idle' } : { kind: 'failed', error });
      throw error;
    }
  }

  private follow(progress: Progress): (event: ProgressEvent) => void {
    return (event) => {
      if (event.status === 'progress_total') {
        progress.loaded = event.loaded;
        progress.total = event.total;
        progress.files = event.files;
      } else if (event.status === 'phase') {
        if (event.state === 'start') progress.phase = event.phase;
        else if (progress.phase === event.phase) progress.phase = null;
      } else if (event.status === 'notice') {
        this.notices.push(event.message);
      } else {
        return;
      }
      this.changed();
    };
  }

  /**
   * One timed call. `units` (texts, tokens) give the throughput, where one means something; 0 of
   * them: it goes on until it is stopped, and its time says nothing.
   */
  async run<R>(
    call: (pipe: TaskCalls[T], options: CallOptions) => Promise<R>,
    options: CallOptions,
    units?: number,
  ): Promise<R> {
    await this.load();
    if (!this.pipe) throw new DOMException('The model was unloaded', 'AbortError');
    const began = performance.now();
    const result = await call(this.pipe as TaskCalls[T], options);
    if (units !== 0) this.clock.ran(performance.now() - began, units);
    this.changed();
    return result;
  }

  async memory(): Promise<MemoryReport | null> {
    return this.pipe ? await this.pipe.memory() : null;
  }

  async timings(): Promise<OpTiming[]> {
    return this.pipe ? await this.pipe.timings() : [];
  }

  async dispose(): Promise<void> {
    this.abort?.abort();
    const pipe = this.pipe;
    this.pipe = undefined;
    this.enter({ kind: 'idle' });
    await pipe?.dispose();
  }

  private enter(state: State): void {
    this.state = state;
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

function placeOf(choice: ModelChoice): string {
  return choice.kind === 'embedded' ? folderOf(choice) : choice.id;
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

const pool = new Map<string, { session: Session; users: number }>();

/** The session for these settings, shared with every panel that asks for the same. */
export function acquire<T extends TaskId>(
  task: T,
  choice: ModelChoice,
  device: Device,
  dtype: DType,
): Session<T> {
  const key = [task, keyOf(choice), device, dtype].join('|');
  const entry = pool.get(key) ?? { session: new Session<TaskId>(task, choice, device, dtype), users: 0 };
  entry.users += 1;
  pool.set(key, entry);
  return entry.session as Session<T>;
}

/** The last user's release frees the model. */
export function release(session: Session): void {
  for (const [key, entry] of pool) {
    if (entry.session !== session) continue;
    entry.users -= 1;
    if (entry.users === 0) {
      pool.delete(key);
      void session.dispose();
    }
  }
}
