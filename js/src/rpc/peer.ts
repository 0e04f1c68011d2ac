import { abortError, fromRecord, TareasError, toRecord, type ErrorRecord } from '../errors.js';

/** One end of a channel: a worker, a message port, or a pair in the same thread. */
export interface Port {
  post(message: unknown, transfer: Transferable[]): void;
  onMessage(handler: (data: unknown) => void): void;
}

/** What crosses the channel. Calls go both ways, numbered by their caller. */
type Message =
  | { type: 'call'; id: number; method: string; params: unknown }
  | { type: 'abort'; id: number }
  | { type: 'piece'; id: number; value: unknown }
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number; error: ErrorRecord }
  | { type: 'event'; name: string; value: unknown };

export interface CallContext {
  signal: AbortSignal;
  /** The call's number with its caller. */
  id: number;
  /** Sends a piece of the answer ahead. */
  piece(value: unknown): void;
}

/** What a call takes besides its parameters. */
export interface CallExtras {
  signal?: AbortSignal | undefined;
  /** Buffers among the parameters that move instead of being copied. */
  transfer?: Transferable[];
  /** Told each piece of the answer that comes ahead of it. */
  onPiece?: ((piece: unknown) => void) | undefined;
  /** Told the call's number, by which the other end may refer to it. */
  onStart?: ((id: number) => void) | undefined;
}

export type Handler = (params: never, context: CallContext) => unknown;

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  piece(value: unknown): void;
}

/** A value whose buffers move instead of being copied. */
export class Transfer<T> {
  constructor(
    readonly value: T,
    readonly buffers: Transferable[],
  ) {}
}

/** Calls, answers and events over a {@link Port}. */
export class Peer {
  private nextId = 1;
  private readonly pending = new Map<number, Pending>();
  private readonly running = new Map<number, AbortController>();
  private closed: TareasError | null = null;
  /** Told whenever the number of open calls changes. */
  onPending: (count: number) => void = () => {};
  /** A call of this end failed and the other end's engine is gone. */
  onFatal: () => void = () => {};

  constructor(
    private readonly port: Port,
    private readonly handlers: Record<string, Handler> = {},
    private readonly onEvent: (name: string, value: unknown) => void = () => {},
  ) {
    port.onMessage((data) => this.receive(data as Message));
  }

  /** Rejects at once on abort; the other end is told and its late answer is dropped. */
  call<T>(method: string, params: unknown, extras: CallExtras = {}): Promise<T> {
    const { signal, transfer = [], onPiece = () => {}, onStart } = extras;
    return new Promise<T>((resolve, reject) => {
      if (this.closed) return reject(this.closed);
      if (signal?.aborted) return reject(abortError(signal));
      const id = this.nextId++;
      const abort = () => {
        this.settle(id)?.reject(abortError(signal));
        this.post({ type: 'abort', id });
      };
      signal?.addEventListener('abort', abort, { once: true });
      const done = () => signal?.removeEventListener('abort', abort);
      this.pending.set(id, {
        resolve: (value) => (done(), resolve(value as T)),
        reject: (error) => (done(), reject(error as Error)),
        piece: onPiece,
      });
      onStart?.(id);
      this.onPending(this.pending.size);
      try {
        this.port.post({ type: 'call', id, method, params } satisfies Message, transfer);
      } catch (error) {
        // What cannot be cloned (a function among the options) is the caller's mistake.
        this.settle(id)?.reject(
          new TareasError('input', `The arguments of ${method} cannot be sent to the worker`, {
            cause: error,
          }),
        );
      }
    });
  }

  event(name: string, value: unknown): void {
    this.post({ type: 'event', name, value });
  }

  /** Rejects everything that is open and everything that comes; aborts what runs here. */
  close(error: TareasError): void {
    this.closed ??= error;
    for (const id of [...this.pending.keys()]) this.settle(id)?.reject(error);
    for (const control of this.running.values()) control.abort();
    this.running.clear();
  }

  private post(message: Message, transfer: Transferable[] = []): void {
    if (!this.closed) this.port.post(message, transfer);
  }

  private settle(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    if (this.pending.delete(id)) this.onPending(this.pending.size);
    return pending;
  }

  private receive(message: Message): void {
    if (this.closed) return;
    switch (message.type) {
      case 'call':
        void this.answer(message.id, message.method, message.params);
        break;
      case 'abort':
        this.running.get(message.id)?.abort();
        break;
      case 'piece':
        this.pending.get(message.id)?.piece(message.value);
        break;
      case 'result':
        this.settle(message.id)?.resolve(message.value);
        break;
      case 'error':
        this.settle(message.id)?.reject(fromRecord(message.error));
        if (message.error.fatal) this.onFatal();
        break;
      case 'event':
        this.onEvent(message.name, message.value);
        break;
    }
  }

  private async answer(id: number, method: string, params: unknown): Promise<void> {
    const control = new AbortController();
    this.running.set(id, control);
    try {
      const handler = this.handlers[method];
      if (!handler) throw new TareasError('internal', `There is no method ${method}`);
      const piece = (value: unknown) => this.post({ type: 'piece', id, value });
      const value: unknown = await handler(params as never, { signal: control.signal, id, piece });
      if (value instanceof Transfer) this.post({ type: 'result', id, value: value.value }, value.buffers);
      else this.post({ type: 'result', id, value });
    } catch (error) {
      this.post({ type: 'error', id, error: toRecord(error) });
    } finally {
      this.running.delete(id);
    }
  }
}

/** Two ports in one thread. Messages arrive in a later microtask, as they would through a real channel, but uncopied. */
export function portPair(): [Port, Port] {
  const handlers: ((data: unknown) => void)[][] = [[], []];
  const end = (self: 0 | 1): Port => ({
    post(message) {
      queueMicrotask(() => handlers[1 - self]?.forEach((handler) => handler(message)));
    },
    onMessage: (handler) => void handlers[self]?.push(handler),
  });
  return [end(0), end(1)];
}
