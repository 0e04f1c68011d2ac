/**
 * What differs between browsers and Node. The build swaps this module for `platform-node.ts` in
 * the files that Node loads, so that no bundler for the web ever sees an import of `node:`.
 */

/** The little of a worker that the client uses. */
export interface WorkerHandle {
  post(message: unknown, transfer: Transferable[]): void;
  onMessage(handler: (data: unknown) => void): void;
  /** The worker could not start, threw outside a call, or left. */
  onCrash(handler: (message: string) => void): void;
  terminate(): void;
  /** Whether the worker keeps the process alive (Node; browsers have no such thing). */
  keepAlive(on: boolean): void;
}

/** A file on disk, opened for reading. */
export interface DiskFile {
  size: number;
  chunks(from: number): AsyncGenerator<Uint8Array>;
}

/** The file system, where there is one. */
export interface Disk {
  /** Null where there is no such file. */
  open(path: string): Promise<DiskFile | null>;
  isFolder(path: string): Promise<boolean>;
  isAbsolute(path: string): boolean;
  join(...parts: string[]): string;
  write(path: string, data: string | Uint8Array): Promise<void>;
  /** Appends to a file that is truncated to `from` first; a second writer of the same path gets null. */
  append(path: string, from: number): Promise<DiskWriter | null>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Every file below a folder: path relative to it, bytes. */
  list(folder: string): Promise<{ path: string; size: number }[]>;
}

export interface DiskWriter {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface Platform {
  isNode: boolean;
  disk: Disk | null;
  defaultCacheDir(): string | null;
  /** Null where the place has no workers (a service worker, some nested workers). */
  startWorker(url: string | URL | null): WorkerHandle | null;
  /** Bytes or a streaming response of the engine beside this module (or at `url`). */
  openWasm(build: 'simd' | 'relaxed', url: string | undefined): Promise<Response | Uint8Array>;
  /** Headers that go with requests to the hub. */
  headers(url: string, remoteHost: string): Record<string, string>;
}

export const platform: Platform = {
  isNode: false,
  disk: null,
  defaultCacheDir: () => null,

  startWorker(url) {
    if (typeof Worker === 'undefined') return null;
    // Bundlers look for exactly this expression; the URL must not move into a variable.
    const worker = url
      ? new Worker(url, { type: 'module', name: 'tareas' })
      : new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'tareas' });
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      onMessage: (handler) => worker.addEventListener('message', (event) => handler(event.data)),
      onCrash(handler) {
        worker.addEventListener('error', (event) => {
          event.preventDefault();
          handler(event.message || 'the worker module could not be loaded');
        });
        worker.addEventListener('messageerror', () => handler('a message could not be read'));
      },
      terminate: () => worker.terminate(),
      keepAlive: () => {},
    };
  },

  async openWasm(build, url) {
    const address =
      url ??
      (build === 'relaxed'
        ? new URL('./tareas.relaxed.wasm', import.meta.url)
        : new URL('./tareas.simd.wasm', import.meta.url));
    return fetch(address, { credentials: 'same-origin' });
  },

  headers: () => ({}),
};
