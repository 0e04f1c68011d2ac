import type {
  Counters,
  Engine,
  EngineHost,
  EngineInfo,
  EngineModel,
  MemoryReport,
  OpTiming,
} from './engine.js';
import { TareasError, throwIfAborted, toTareasError } from './errors.js';
import type { ProgressEvent } from './events.js';
import type { Source } from './hub/source.js';
import { ModelLoad, type LoadSpec } from './load.js';

/** What a pipeline can be asked about besides its runs. */
export interface SessionState {
  info: EngineInfo;
  /** Milliseconds of the last load. */
  loadMs: number;
}

/**
 * A loaded model: runs one call at a time, in order, and recovers by itself where the GPU goes
 * away or turns out too small.
 */
export class Session {
  private model: EngineModel | null = null;
  private queue: Promise<unknown> = Promise.resolve();
  private loadMs = 0;
  private closed = false;
  /** Stops the run under way. */
  private stop: (() => void) | null = null;

  constructor(
    /** May still be starting; a load asks for its files meanwhile. */
    private readonly engine: Promise<Engine>,
    private readonly source: Source,
    private readonly spec: LoadSpec,
    private readonly report: (event: ProgressEvent) => void,
    /** The model changed (a reload): its new state. */
    private readonly changed: (state: SessionState) => void,
  ) {}

  async load(signal?: AbortSignal): Promise<SessionState> {
    const begun = performance.now();
    this.model = await this.loadModel(this.spec, signal);
    this.loadMs = performance.now() - begun;
    return this.state();
  }

  /** One load; a second attempt where the first failed for a reason that goes away. */
  private async loadModel(spec: LoadSpec, signal?: AbortSignal): Promise<EngineModel> {
    try {
      return await this.attempt(spec, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      const { code, message } = toTareasError(error);
      // The damaged file was dropped from the cache; the device was lost while weights went up.
      if (code === 'cache' || code === 'device_lost') return this.again(spec, code, message, signal);
      if (code === 'out_of_memory' && spec.device === 'auto' && spec !== this.onCpu()) {
        return this.again(this.onCpu(), code, message, signal);
      }
      throw error;
    }
  }

  private cpuSpec: LoadSpec | null = null;
  private onCpu(): LoadSpec {
    return (this.cpuSpec ??= { ...this.spec, device: 'wasm' });
  }

  private attempt(spec: LoadSpec, signal?: AbortSignal): Promise<EngineModel> {
    return new ModelLoad(this.engine, this.source, spec, this.report, signal).run();
  }

  private async again(
    spec: LoadSpec,
    code: string,
    reason: string,
    signal?: AbortSignal,
  ): Promise<EngineModel> {
    const { name } = this.spec;
    const begun = performance.now();
    this.report({ status: 'phase', name, phase: 'reload', state: 'start', reason: `${code}: ${reason}` });
    const model = await this.attempt(spec, signal);
    const ms = Math.round(performance.now() - begun);
    this.report({ status: 'phase', name, phase: 'reload', state: 'done', reason: `${code}: ${reason}`, ms });
    return model;
  }

  private state(): SessionState {
    return { info: this.get().info(), loadMs: this.loadMs };
  }

  private get(): EngineModel {
    if (!this.model || this.closed) throw new TareasError('disposed', 'The pipeline was disposed');
    return this.model;
  }

  /** Queues a call. An aborted call that has not begun never runs. */
  run(input: unknown, options: unknown, host: EngineHost, signal?: AbortSignal): Promise<unknown> {
    return this.enqueue(() => {
      throwIfAborted(signal);
      return this.runNow(input, options, host, signal);
    });
  }

  /** Everything that touches the model waits for its turn: a run has the model to itself. */
  private enqueue<T>(action: () => T | Promise<T>): Promise<T> {
    const result = this.queue.then(action);
    this.queue = result.catch(() => {});
    return result;
  }

  private async runNow(
    input: unknown,
    options: unknown,
    host: EngineHost,
    signal?: AbortSignal,
  ): Promise<unknown> {
    // A call that has sent pieces cannot begin anew: its reader would get them twice.
    let begun = false;
    const piece = (value: unknown) => {
      begun = true;
      host.piece(value);
    };
    try {
      return await this.runOnce(input, options, { ...host, piece }, signal);
    } catch (error) {
      throwIfAborted(signal);
      const { code, message } = toTareasError(error);
      const onGpu = this.model?.info().device === 'webgpu';
      const recoverable =
        code === 'device_lost' || (code === 'out_of_memory' && onGpu && this.spec.device === 'auto');
      if (!recoverable || begun || this.closed) throw error;
      await this.reload(code, message, signal);
      return this.runOnce(input, options, host, signal);
    }
  }

  /** Builds the model anew from the cache or its source: on the CPU where the GPU was too small. */
  private async reload(
    code: 'device_lost' | 'out_of_memory',
    reason: string,
    signal?: AbortSignal,
  ): Promise<void> {
    this.model?.free();
    this.model = null;
    const spec = code === 'out_of_memory' ? this.onCpu() : (this.cpuSpec ?? this.spec);
    const begun = performance.now();
    this.model = await this.again(spec, code, reason, signal);
    this.loadMs = performance.now() - begun;
    this.changed(this.state());
  }

  private async runOnce(
    input: unknown,
    options: unknown,
    host: EngineHost,
    signal?: AbortSignal,
  ): Promise<unknown> {
    // An earlier reload may have been aborted or have failed: this call tries it again.
    if (!this.model && !this.closed)
      await this.reload('device_lost', 'an earlier reload did not end', signal);
    const model = this.get();
    const handle = model.abort_handle();
    const abort = () => handle.abort();
    this.stop = abort;
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await model.run(input, options, host);
    } finally {
      this.stop = null;
      signal?.removeEventListener('abort', abort);
      handle.free();
    }
  }

  memory(): Promise<MemoryReport> {
    return this.enqueue(() => this.get().memory());
  }

  timings(): Promise<OpTiming[]> {
    return this.enqueue(() => this.get().timings());
  }

  counters(): Promise<Counters> {
    return this.enqueue(() => this.get().counters());
  }

  loseDevice(): Promise<void> {
    return this.enqueue(() => this.get().lose_device());
  }

  /** Waits for the call under way, which is told to stop, and frees the model. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.stop?.();
    await this.queue;
    this.model?.free();
    this.model = null;
  }
}
