import { abortError, TareasError, throwIfAborted } from '../errors.js';

/** How downloads behave; `fetch` is the global one or the user's. */
export interface Net {
  fetch: typeof globalThis.fetch;
  retries: number;
  retryDelay: number;
  stallTimeout: number;
  /** `no-store` where the files go into a cache of ours: the browser's own would keep each a second time. */
  cache: RequestCache;
  headers(url: string): Record<string, string>;
}

/** An answer whose body has not been read yet. */
export interface Remote {
  /** Bytes of the whole file; null where the server does not say (or compresses on the way). */
  size: number | null;
  /** ETag or Last-Modified: tells whether two answers are of the same file. */
  validator: string | null;
  /** Where the body starts in the file. */
  offset: number;
  type: string;
  /** The bytes from `offset` on; reconnects by itself where the connection breaks. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** Drops the connection without reading it. */
  cancel(): void;
}

interface Answer {
  response: Response;
  control: AbortController;
  size: number | null;
  validator: string | null;
  offset: number;
  /** Compressed on the way: byte ranges would be of the compressed form. */
  encoded: boolean;
}

const MAX_DELAY_MS = 8_000;
/** Longest `Retry-After` that is waited for. */
const MAX_RETRY_AFTER_MS = 30_000;

/** Resolves after `ms`, rejects at once on abort. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    const timer = setTimeout(finish, ms);
    function finish(): void {
      signal?.removeEventListener('abort', stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(abortError(signal));
    }
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Exponential, with jitter so that many tabs do not come back in step. */
function backoff(net: Net, attempt: number): number {
  return Math.min(net.retryDelay * 2 ** attempt, MAX_DELAY_MS) * (0.75 + Math.random() / 2);
}

function isOffline(error: unknown): boolean {
  if (globalThis.navigator?.onLine === false) return true;
  const cause = (error as { cause?: { code?: string } } | null)?.cause;
  return cause?.code === 'ENOTFOUND' || cause?.code === 'EAI_AGAIN';
}

function unreachable(url: string, error: unknown): TareasError {
  if (isOffline(error)) {
    return new TareasError('offline', `There is no connection to ${url}`, {
      url,
      cause: error,
      remedy: 'models that were loaded before are used from the cache; load once with a connection',
    });
  }
  const why = error instanceof Error ? error.message : String(error);
  return new TareasError('network', `${url} could not be fetched: ${why}`, {
    url,
    cause: error,
    remedy: 'check the connection, the address, and that the server allows requests from this page (CORS)',
  });
}

function refused(url: string, response: Response): TareasError {
  const { status } = response;
  if (status === 401 || status === 403) {
    return new TareasError('unauthorized', `The server refused ${url} with status ${status}`, {
      url,
      status,
      remedy:
        'check the spelling of the model (the hub answers 401 for models that do not exist); for gated or private models set env.fetch to a fetch that sends your token',
    });
  }
  return new TareasError('network', `The server answered ${url} with status ${status}`, {
    url,
    status,
    remedy: status >= 500 || status === 429 ? 'try again later' : 'check the address and the revision',
  });
}

function retryAfter(response: Response): number | null {
  const value = response.headers.get('retry-after');
  if (!value) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : null;
}

/** One request, no retry. The fetch is aborted where not even headers come in time. */
async function request(url: string, net: Net, from: number, signal?: AbortSignal): Promise<Answer> {
  const control = new AbortController();
  const abort = () => control.abort();
  throwIfAborted(signal);
  signal?.addEventListener('abort', abort, { once: true });
  const timer = setTimeout(abort, net.stallTimeout);
  try {
    const headers = net.headers(url);
    // A single open range needs no CORS preflight. If-Range would; the answer's validator is
    // compared instead, which tells the same.
    if (from > 0) headers['Range'] = `bytes=${from}-`;
    const response = await net.fetch(url, { headers, signal: control.signal, cache: net.cache });
    const range = /bytes (\d+)-\d*\/(\d+|\*)/.exec(response.headers.get('content-range') ?? '');
    const length = Number(response.headers.get('content-length') ?? NaN);
    const encoded = !/^(identity)?$/.test(response.headers.get('content-encoding') ?? '');
    const offset = response.status === 206 ? (range ? Number(range[1]) : from) : 0;
    let size: number | null = null;
    if (range && range[2] !== '*') size = Number(range[2]);
    else if (Number.isFinite(length) && !encoded) size = offset + length;
    const validator = response.headers.get('etag') ?? response.headers.get('last-modified');
    return { response, control, size, validator, offset, encoded };
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw error;
  } finally {
    clearTimeout(timer);
    // After this the body's own reads listen to the signal.
    signal?.removeEventListener('abort', abort);
  }
}

/** A request with retries. Null for a file that is not there. */
async function connect(url: string, net: Net, from: number, signal?: AbortSignal): Promise<Answer | null> {
  for (let attempt = 0; ; attempt++) {
    let wait = backoff(net, attempt);
    try {
      const answer = await request(url, net, from, signal);
      const { status } = answer.response;
      if (answer.response.ok) return answer;
      answer.control.abort();
      if (status === 404 || status === 410) return null;
      // The file is shorter than what we have of it: another file.
      if (status === 416 && from > 0) return await connect(url, net, 0, signal);
      if (status < 500 && status !== 429 && status !== 408) throw refused(url, answer.response);
      if (attempt >= net.retries) throw refused(url, answer.response);
      wait = retryAfter(answer.response) ?? wait;
    } catch (error) {
      if (error instanceof TareasError) throw error;
      if (attempt >= net.retries || isOffline(error)) throw unreachable(url, error);
    }
    await sleep(wait, signal);
  }
}

/** The body's chunks; throws where it breaks, stalls, or the signal says so. */
async function* read(answer: Answer, net: Net, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = answer.response.body?.getReader();
  if (!reader) {
    yield new Uint8Array(await answer.response.arrayBuffer());
    return;
  }
  const stop = () => answer.control.abort();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      throwIfAborted(signal);
      const timer = setTimeout(stop, net.stallTimeout);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    // Where the consumer stops early the connection must not stay open.
    answer.control.abort();
  }
}

/** Whether a later answer is of the file that an earlier one began. */
function sameFile(a: Pick<Answer, 'size' | 'validator'>, b: Pick<Answer, 'size' | 'validator'>): boolean {
  const agree = (x: unknown, y: unknown) => x === null || y === null || x === y;
  return agree(a.size, b.size) && agree(a.validator, b.validator);
}

async function* readAll(
  url: string,
  net: Net,
  first: Answer,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let answer = first;
  let position = first.offset;
  let skip = 0;
  for (let failures = 0; ;) {
    let broken: unknown = null;
    try {
      for await (const chunk of read(answer, net, signal)) {
        const fresh = chunk.subarray(Math.min(skip, chunk.byteLength));
        skip -= chunk.byteLength - fresh.byteLength;
        if (fresh.byteLength === 0) continue;
        position += fresh.byteLength;
        failures = 0;
        yield fresh;
      }
    } catch (error) {
      throwIfAborted(signal);
      broken = error;
    }
    // A compressed transfer that hides its encoding may end beyond its Content-Length.
    if (broken === null && (first.size === null || position >= first.size)) return;
    const of = first.size === null ? '' : ` of ${first.size}`;
    if (failures++ >= net.retries) {
      throw new TareasError(
        'network',
        `${url} broke off after ${position}${of} bytes, ${failures} times in a row`,
        {
          url,
          cause: broken,
          remedy: 'load again: what has arrived is kept in the cache',
        },
      );
    }
    await sleep(backoff(net, failures - 1), signal);
    const next = await connect(url, net, first.encoded ? 0 : position, signal);
    if (!next || !sameFile(first, next) || next.offset > position) {
      next?.control.abort();
      throw new TareasError('network', `${url} changed on the server while it was downloaded`, {
        url,
        remedy: 'load again',
      });
    }
    answer = next;
    // A server without ranges starts over; what is known already is dropped.
    skip = position - next.offset;
  }
}

/**
 * Opens a file from byte `from` on. Null where there is no such file. With `from > 0` the answer
 * starts there only if the server still has the file that `validator` belongs to; otherwise
 * at 0: look at `offset`.
 */
export async function openRemote(
  url: string,
  net: Net,
  options: {
    from?: number;
    validator?: string | null;
    size?: number | null;
    signal?: AbortSignal | undefined;
  } = {},
): Promise<Remote | null> {
  const { from = 0, signal } = options;
  let answer = await connect(url, net, from, signal);
  if (answer && answer.offset > 0) {
    const known = { size: options.size ?? null, validator: options.validator ?? null };
    if (!sameFile(known, answer) || answer.offset !== from) {
      answer.control.abort();
      answer = await connect(url, net, 0, signal);
    }
  }
  if (!answer) return null;
  const opened = answer;
  return {
    size: opened.size,
    validator: opened.validator,
    offset: opened.offset,
    type: opened.response.headers.get('content-type') ?? '',
    chunks: () => readAll(url, net, opened, signal),
    cancel: () => opened.control.abort(),
  };
}

/** Whether a file exists, without its body. */
export async function exists(url: string, net: Net, signal?: AbortSignal): Promise<boolean> {
  const response = await net.fetch(url, {
    method: 'HEAD',
    headers: net.headers(url),
    signal: signal ?? null,
  });
  return response.ok && !/text\/html/.test(response.headers.get('content-type') ?? '');
}
