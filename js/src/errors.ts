/** What went wrong, coarse enough to branch on. The engine's codes, then the ones that only JavaScript meets. */
export type ErrorCode =
  // the engine's (src/error.rs)
  | 'config'
  | 'checkpoint'
  | 'tensor'
  | 'non_finite'
  | 'tokenizer'
  | 'input'
  | 'unsupported'
  | 'shape'
  | 'device'
  | 'device_lost'
  | 'out_of_memory'
  | 'aborted'
  | 'disposed'
  | 'internal'
  // JavaScript's
  | 'network'
  | 'offline'
  | 'not_found'
  | 'unauthorized'
  | 'html'
  | 'cache'
  | 'integrity'
  | 'worker';

export interface ErrorDetails {
  /** What to do about it. */
  remedy?: string;
  /** The address of the file involved. */
  url?: string;
  /** HTTP status, where a server answered. */
  status?: number;
  cause?: unknown;
}

/**
 * The one error type. `code` is stable and meant to be branched on; `message` names the thing and
 * ends with what to do about it.
 *
 * An abort has `name === 'AbortError'` (`'TimeoutError'` after `AbortSignal.timeout()`), as the
 * `DOMException` of `fetch` would; everything else has `name === 'TareasError'`.
 */
export class TareasError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly url?: string;
  readonly status?: number;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(details.remedy ? `${message} (${details.remedy})` : message, { cause: details.cause });
    this.name = code === 'aborted' ? 'AbortError' : 'TareasError';
    this.code = code;
    this.remedy = details.remedy ?? '';
    if (details.url !== undefined) this.url = details.url;
    if (details.status !== undefined) this.status = details.status;
  }
}

/** An error as it crosses from the worker: `postMessage` would keep the message and lose the rest. */
export interface ErrorRecord {
  code: ErrorCode;
  message: string;
  remedy: string;
  url?: string | undefined;
  status?: number | undefined;
  stack?: string | undefined;
  /** The engine's instance is gone (a wasm trap); it has to be started anew. */
  fatal?: boolean;
}

/** What an aborted signal is reported as; the signal's own reason is the cause. */
export function abortError(signal?: AbortSignal): TareasError {
  const reason: unknown = signal?.reason;
  const error = new TareasError('aborted', 'The operation was aborted', { cause: reason });
  // `AbortSignal.timeout()` is told from a user's abort by its name, as with fetch.
  if (isObject(reason) && reason['name'] === 'TimeoutError') error.name = 'TimeoutError';
  return error;
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** A trap inside wasm: the instance's memory can no longer be trusted. */
function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

/**
 * Any thrown value as a {@link TareasError}. Engine errors are plain errors with `code`, `message`
 * and `remedy`; their message does not hold the remedy yet.
 */
export function toTareasError(error: unknown, fallback: ErrorCode = 'internal'): TareasError {
  if (error instanceof TareasError) return error;
  if (isObject(error)) {
    const message = String(error['message'] ?? error);
    if (error['name'] === 'AbortError') return new TareasError('aborted', message, { cause: error });
    if (error['name'] === 'TareasError' && typeof error['code'] === 'string') {
      const remedy = String(error['remedy'] ?? '');
      const text =
        remedy && message.endsWith(`(${remedy})`) ? message.slice(0, -remedy.length - 2).trim() : message;
      return new TareasError(error['code'] as ErrorCode, text, { remedy, cause: error });
    }
    if (isTrap(error)) {
      return new TareasError('internal', `The engine stopped: ${message}`, {
        remedy: 'the next call starts it again; please report this with the input that caused it',
        cause: error,
      });
    }
    if (error instanceof RangeError && /memory|allocation/i.test(message)) {
      return new TareasError('out_of_memory', message, {
        remedy: "use a smaller dtype ('q8' or 'q4') or a smaller model",
        cause: error,
      });
    }
    return new TareasError(fallback, message, { cause: error });
  }
  return new TareasError(fallback, String(error));
}

export function toRecord(error: unknown): ErrorRecord {
  const known = toTareasError(error);
  const { code, remedy, url, status, stack } = known;
  const message = remedy ? known.message.slice(0, -(remedy.length + 3)) : known.message;
  return { code, message, remedy, url, status, stack, fatal: isTrap(error) || isTrap(known.cause) };
}

export function fromRecord(record: ErrorRecord): TareasError {
  const { code, message, remedy, url, status, stack } = record;
  const error = new TareasError(code, message, { remedy, url, status } as ErrorDetails);
  if (stack) error.cause = { stack };
  return error;
}
