import type { Counters, EngineInfo, MemoryReport, OpTiming } from './engine.js';
import { env, log, VERSION, type CustomCache } from './env.js';
import { abortError, TareasError, toTareasError } from './errors.js';
import type { ProgressCallback, ProgressEvent } from './events.js';
import { openSource, type SourceSpec } from './hub/index.js';
import { serveInline } from './inline-service.js';
import { platform } from './platform.js';
import { Peer, portPair, type Handler, type Port } from './rpc/peer.js';
import { sourceHandlers } from './rpc/remote-source.js';
import type { LoadParams } from './service.js';
import type { SessionState } from './session.js';

/** A worker gets this long to say that it runs. */
const HELLO_MS = 60_000;
/** After an aborted load the worker gets this long to close its files before it is ended. */
const GRACE_MS = 2_000;

export interface ClientRequest {
  params: Omit<LoadParams, 'source'>;
  source: SourceSpec;
  /** The user's functions, where there are some: the files then come through this thread. */
  fetch: typeof globalThis.fetch | null;
  customCache: CustomCache | null;
  /** True: only in a worker; false: in this thread; undefined: in a worker where that is possible. */
  worker: boolean | undefined;
  progress: ProgressCallback | null;
}

/** What a run takes besides its input and options. */
export interface RunExtras {
  signal?: AbortSignal | undefined;
  /** Buffers of the input that move to the engine instead of being copied. */
  transfer?: Transferable[];
  /** Told each piece of the answer that comes ahead of it. */
  onPiece?: ((piece: unknown) => void) | undefined;
  /** Answers what only the caller's code knows, while the call runs. */
  onAsk?: ((question: unknown) => unknown) | undefined;
}

/** The other end of the channel and how to end it. */
interface Endpoint {
  peer: Peer;
  inWorker: boolean;
  end(): void;
  closeSource(): void;
}

function reportUncaught(error: unknown): void {
  if (typeof reportError === 'function') return reportError(error);
  queueMicrotask(() => {
    throw error;
  });
}

/** The promise's outcome, or the abort if that comes first. */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(abortError(signal));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** A pipeline's connection to the engine: starts it, loads the model, and starts it again after a crash. */
export class Client {
  private endpoint: Endpoint | null = null;
  private starting: Promise<Endpoint> | null = null;
  private state: SessionState | null = null;
  private disposed: TareasError | null = null;
  /** Who answers the questions of a running call, by its number. */
  private readonly answers = new Map<number, (question: unknown) => unknown>();

  /** Never resolves; rejects on disposal, for what waits without a channel. */
  private readonly disposal: Promise<never>;
  private onDisposed: (error: TareasError) => void = () => {};

  constructor(private readonly request: ClientRequest) {
    this.disposal = new Promise((_, reject) => (this.onDisposed = reject));
    this.disposal.catch(() => {});
  }

  /** Where the model runs. */
  get inWorker(): boolean {
    return this.endpoint?.inWorker ?? false;
  }

  get info(): EngineInfo {
    if (!this.state) throw new TareasError('disposed', 'The pipeline was disposed');
    return this.state.info;
  }

  get loadMs(): number {
    return this.state?.loadMs ?? 0;
  }

  async load(signal?: AbortSignal): Promise<void> {
    await this.ready(signal);
    const { task, name } = this.request.params.load;
    this.report({ status: 'ready', task, model: name });
  }

  async run(input: unknown, options: unknown, extras: RunExtras = {}): Promise<unknown> {
    const { signal, transfer, onPiece, onAsk } = extras;
    // Without a pause where there is nothing to wait for: calls run in the order in which they are made.
    const ready = this.starting === null ? this.endpoint : null;
    const { peer } = ready ?? (await abortable(this.ready(), signal));
    let number = 0;
    const onStart = (id: number) => {
      number = id;
      if (onAsk) this.answers.set(id, onAsk);
    };
    try {
      return await peer.call('run', { input, options }, { signal, transfer, onPiece, onStart });
    } finally {
      this.answers.delete(number);
    }
  }

  async memory(): Promise<MemoryReport> {
    return (await this.ready()).peer.call('memory', null);
  }

  async timings(): Promise<OpTiming[]> {
    return (await this.ready()).peer.call('timings', null);
  }

  async counters(): Promise<Counters> {
    return (await this.ready()).peer.call('counters', null);
  }

  async loseDevice(): Promise<void> {
    return (await this.ready()).peer.call('lose_device', null);
  }

  /** Rejects what is open and frees everything. A second call does nothing. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = new TareasError('disposed', 'The pipeline was disposed', { remedy: 'make a new one' });
    this.state = null;
    this.onDisposed(this.disposed);
    const { endpoint } = this;
    this.endpoint = null;
    if (endpoint) this.shut(endpoint, this.disposed);
  }

  private report(event: ProgressEvent): void {
    if (event.status === 'notice') log('warn', event.message);
    try {
      this.request.progress?.(event);
    } catch (error) {
      // A callback's own mistake must not break the load, and must not vanish either.
      reportUncaught(error);
    }
  }

  /** The endpoint with its model loaded. Callers that come while it starts share the start. */
  private async ready(signal?: AbortSignal): Promise<Endpoint> {
    if (this.disposed) throw this.disposed;
    if (this.endpoint && !this.starting) return this.endpoint;
    const starting = (this.starting ??= this.start(signal).finally(() => (this.starting = null)));
    return starting;
  }

  private async start(signal?: AbortSignal): Promise<Endpoint> {
    const opening = this.open();
    let endpoint: Endpoint;
    try {
      endpoint = await abortable(Promise.race([opening, this.disposal]), signal);
    } catch (error) {
      opening.then((late) => this.shut(late, toTareasError(error))).catch(() => {});
      throw error;
    }
    // From here on dispose() reaches the load.
    this.endpoint = endpoint;
    const { source, params, fetch, customCache } = this.request;
    const through = fetch !== null || customCache !== null;
    try {
      const load: LoadParams = { ...params, source: through ? null : source };
      this.state = await endpoint.peer.call<SessionState>('load', load, { signal });
      return endpoint;
    } catch (error) {
      this.endpoint = null;
      this.retire(endpoint, toTareasError(error));
      throw error;
    }
  }

  /** Ends an endpoint whose load failed or was aborted, once it has put its files in order. */
  private retire(endpoint: Endpoint, reason: TareasError): void {
    endpoint.closeSource();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, GRACE_MS)));
    const closed = endpoint.peer.call('close', null).catch(() => {});
    void Promise.race([closed, late]).then(() => {
      clearTimeout(timer);
      endpoint.peer.close(reason);
      endpoint.end();
    });
  }

  private shut(endpoint: Endpoint, reason: TareasError): void {
    endpoint.closeSource();
    // In this thread nothing can be ended from outside: the model is told to stop and freed after.
    if (!endpoint.inWorker) endpoint.peer.call('close', null).catch(() => {});
    endpoint.peer.close(reason);
    endpoint.end();
  }

  private async open(): Promise<Endpoint> {
    const { worker } = this.request;
    if (worker === false) return this.openInline();
    try {
      return await this.openWorker();
    } catch (error) {
      if (worker === true || this.disposed) throw error;
      const why = toTareasError(error).message;
      const { name } = this.request.params.load;
      this.report({ status: 'notice', name, code: 'worker', message: `Running in this thread: ${why}` });
      return this.openInline();
    }
  }

  private connect(
    port: Port,
    inWorker: boolean,
    end: () => void,
    hello: (version: string) => void,
  ): Endpoint {
    const { source, fetch, customCache } = this.request;
    const { name } = this.request.params.load;
    const remote = sourceHandlers(() =>
      openSource(source, { fetch, customCache }, (code, message) =>
        this.report({ status: 'notice', name, code, message }),
      ),
    );
    const ask = ({ call, question }: { call: number; question: unknown }) =>
      this.answers.get(call)?.(question);
    const handlers = { ...remote.handlers, ask } as Record<string, Handler>;
    const peer = new Peer(port, handlers, (event, value) => {
      if (event === 'hello') hello((value as { version: string }).version);
      else if (event === 'progress') this.report(value as ProgressEvent);
      else if (event === 'state') this.state = value as SessionState;
    });
    const endpoint: Endpoint = { peer, inWorker, end, closeSource: remote.close };
    peer.onFatal = () =>
      this.crashed(
        endpoint,
        new TareasError('internal', 'The engine stopped', { remedy: 'the next call starts it again' }),
      );
    return endpoint;
  }

  /** Everything that is open is rejected; the next call starts anew. */
  private crashed(endpoint: Endpoint, error: TareasError): void {
    if (this.endpoint === endpoint) this.endpoint = null;
    endpoint.closeSource();
    endpoint.peer.close(error);
    endpoint.end();
  }

  private openWorker(): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      const fail = (message: string, cause?: unknown) =>
        reject(
          new TareasError('worker', message, {
            cause,
            remedy:
              "serve the package's worker module beside its entry, set env.workerUrl to it, or pass worker: false",
          }),
        );
      let handle: ReturnType<typeof platform.startWorker>;
      try {
        handle = platform.startWorker(env.workerUrl);
      } catch (error) {
        return fail(
          `The worker cannot be started: ${error instanceof Error ? error.message : String(error)}`,
          error,
        );
      }
      if (!handle) return fail('There are no workers here');
      const worker = handle;
      const timer = setTimeout(() => {
        worker.terminate();
        fail(`The worker did not answer for ${HELLO_MS / 1000} s`);
      }, HELLO_MS);
      const endpoint = this.connect(worker, true, worker.terminate, (version) => {
        clearTimeout(timer);
        if (version === VERSION) return resolve(endpoint);
        worker.terminate();
        fail(`The worker is of version ${version}, the package of ${VERSION}`);
      });
      // Node: an idle pipeline does not keep the process alive, a call under way does.
      endpoint.peer.onPending = (count) => worker.keepAlive(count > 0);
      worker.onCrash((message) => {
        clearTimeout(timer);
        worker.terminate();
        fail(`The worker cannot be started: ${message}`);
        this.crashed(
          endpoint,
          new TareasError('worker', `The worker crashed: ${message}`, {
            remedy: 'the next call starts it again',
          }),
        );
      });
    });
  }

  private async openInline(): Promise<Endpoint> {
    const serve = await serveInline();
    const [here, there] = portPair();
    return new Promise((resolve) => {
      const endpoint = this.connect(
        here,
        false,
        () => {},
        () => resolve(endpoint),
      );
      serve(there);
    });
  }
}
