import { TareasError, throwIfAborted } from '../errors.js';
import type { HubSettings } from '../env.js';
import type { ErrorCode } from '../errors.js';
import type { Disk } from '../platform.js';
import { exists, openRemote, type Net, type Remote } from './download.js';
import { isPlace, localPath, remoteUrl, type ModelRef } from './resolve.js';
import type { Entry, FileMeta, Store, StoreWriter } from './store.js';

/** A file of a model, opened. Its chunks are read once; the reader must finish or `cancel`. */
export interface OpenFile {
  /** Bytes; null where nobody knows. */
  size: number | null;
  from: 'network' | 'cache' | 'local';
  chunks(): AsyncGenerator<Uint8Array>;
  cancel(): void;
}

/** Where a model's files come from. */
export interface Source {
  /** Null where the model has no such file. */
  open(file: string, signal?: AbortSignal): Promise<OpenFile | null>;
  /** Whether there is such a file; no error where that cannot be told. */
  has(file: string, signal?: AbortSignal): Promise<boolean>;
  /** The file's address for messages. */
  describe(file: string): string;
  /** Drops the file from the cache: its content is not what it should be. */
  forget(file: string): Promise<void>;
}

export type Notify = (code: ErrorCode, message: string) => void;

/** What {@link HubSource} works with. */
export interface HubParts {
  ref: ModelRef;
  settings: HubSettings;
  net: Net;
  store: Store | null;
  disk: Disk | null;
  localFilesOnly: boolean;
  notify: Notify;
}

/** Free bytes of this origin's storage, where the browser tells. */
async function freeStorage(): Promise<number> {
  const { quota, usage } = (await globalThis.navigator?.storage?.estimate?.().catch(() => null)) ?? {};
  return quota === undefined ? Infinity : quota - (usage ?? 0);
}

/** A model by its id: local copies first where they are allowed, then the cache, then the hub. */
export class HubSource implements Source {
  /** Set to null when the cache turns out to be full or broken. */
  private store: Store | null;

  constructor(private readonly parts: HubParts) {
    this.store = parts.store;
  }

  describe(file: string): string {
    const { ref, settings } = this.parts;
    return isPlace(ref.model) ? localPath(settings, ref, file) : remoteUrl(settings, ref, file);
  }

  async open(file: string, signal?: AbortSignal): Promise<OpenFile | null> {
    const { ref, settings, localFilesOnly } = this.parts;
    if (isPlace(ref.model)) return this.openLocal(file, signal);
    if (settings.allowLocalModels) {
      const local = await this.openLocal(file, signal);
      if (local) return local;
    }
    const key = this.key(file);
    const entry = await this.lookUp(key);
    if (entry?.complete) return this.fromCache(entry);
    if (localFilesOnly || !settings.allowRemoteModels) return null;
    return this.fromNetwork(key, entry, signal);
  }

  async has(file: string, signal?: AbortSignal): Promise<boolean> {
    const { ref, settings, net, disk, localFilesOnly } = this.parts;
    const path = localPath(settings, ref, file);
    if (disk && !/^https?:/.test(path)) return (await disk.open(path)) !== null;
    if (!isPlace(ref.model) && (localFilesOnly || !settings.allowRemoteModels)) return false;
    return exists(this.describe(file), net, signal).catch(() => false);
  }

  async forget(file: string): Promise<void> {
    await this.store?.remove(this.key(file)).catch(() => {});
  }

  private key(file: string): Omit<FileMeta, 'size' | 'validator'> {
    const { ref, settings } = this.parts;
    const path = ref.subfolder ? `${ref.subfolder}/${file}` : file;
    return { url: remoteUrl(settings, ref, file), model: ref.model, revision: ref.revision, file: path };
  }

  private async openLocal(file: string, signal?: AbortSignal): Promise<OpenFile | null> {
    const { settings, ref, disk, net } = this.parts;
    const path = localPath(settings, ref, file);
    if (/^https?:/.test(path)) {
      const remote = await openRemote(path, net, { signal });
      // A development server answers with its start page where it has no such file.
      if (!remote || (!isPlace(ref.model) && /text\/html/.test(remote.type))) return remote?.cancel(), null;
      return this.network(remote, path);
    }
    if (!disk || !settings.useFS) return null;
    const opened = await disk.open(path);
    return opened && { size: opened.size, from: 'local', chunks: () => opened.chunks(0), cancel: () => {} };
  }

  /** A cache that cannot be read is no reason to fail: the file is downloaded. */
  private async lookUp(key: Omit<FileMeta, 'size' | 'validator'>): Promise<Entry | null> {
    try {
      return (await this.store?.get(key.url, key)) ?? null;
    } catch (error) {
      this.cacheFailed(error);
      return null;
    }
  }

  private cacheFailed(error: unknown): void {
    this.store = null;
    const why = error instanceof Error ? error.message : String(error);
    const full = error instanceof Error && (error.name === 'QuotaExceededError' || /ENOSPC|quota/i.test(why));
    const what = full ? 'The cache is full' : `The cache cannot be used: ${why}`;
    this.parts.notify('cache', `${what}; the model stays in memory only and is downloaded again next time`);
  }

  private fromCache(entry: Entry): OpenFile {
    return { size: entry.meta.size, from: 'cache', chunks: () => this.cached(entry), cancel: () => {} };
  }

  /** Cached bytes; a browser may have thrown some of them away behind our back. */
  private async *cached(entry: Entry): AsyncGenerator<Uint8Array> {
    let left = entry.have;
    try {
      for await (const chunk of entry.chunks()) {
        left -= chunk.byteLength;
        yield chunk;
      }
      if (left > 0) throw new Error(`${left} bytes are missing`);
    } catch (error) {
      await this.store?.remove(entry.meta).catch(() => {});
      const why = error instanceof Error ? error.message : String(error);
      throw new TareasError('cache', `${entry.meta.file} in the cache is damaged: ${why}`, {
        url: entry.meta.url,
        cause: error,
        remedy: 'load again: it is downloaded anew',
      });
    }
  }

  private network(remote: Remote, url: string): OpenFile {
    if (/text\/html/.test(remote.type)) {
      remote.cancel();
      throw htmlError(url);
    }
    return { size: remote.size, from: 'network', chunks: () => remote.chunks(), cancel: () => remote.cancel() };
  }

  /** The rest of a begun download, or all of it; a copy goes into the cache as it passes. */
  private async fromNetwork(
    key: Omit<FileMeta, 'size' | 'validator'>,
    begun: Entry | null,
    signal?: AbortSignal,
  ): Promise<OpenFile | null> {
    const { net } = this.parts;
    // Without a validator nobody can tell whether the rest belongs to the beginning.
    const have = begun?.meta.validator ? begun.have : 0;
    const known = { from: have, validator: begun?.meta.validator ?? null, size: begun?.meta.size ?? null };
    const remote = await openRemote(key.url, net, { ...known, signal });
    if (!remote) return null;
    const plain = this.network(remote, key.url);
    const resumed = remote.offset > 0 && begun !== null;
    const meta: FileMeta = { ...key, size: remote.size, validator: remote.validator };
    const chunks = () => this.tee(meta, remote, resumed ? begun : null, signal);
    return { ...plain, chunks };
  }

  private async *tee(
    meta: FileMeta,
    remote: Remote,
    begun: Entry | null,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    if (begun) yield* this.cached(begun);
    let writer = await this.beginWrite(meta, remote.offset);
    /** Runs one step of the writer; the first failure ends the caching and nothing else. */
    const step = async (action: (to: StoreWriter) => Promise<void>): Promise<void> => {
      if (!writer) return;
      try {
        await action(writer);
      } catch (error) {
        writer = null;
        const { store } = this;
        this.cacheFailed(error);
        await store?.remove(meta).catch(() => {});
      }
    };
    try {
      for await (const chunk of remote.chunks()) {
        await step((to) => to.write(chunk));
        throwIfAborted(signal);
        yield chunk;
      }
      await step((to) => to.finish());
      writer = null;
    } finally {
      await step((to) => to.stop());
    }
  }

  private async beginWrite(meta: FileMeta, from: number): Promise<StoreWriter | null> {
    const { store } = this;
    if (!store) return null;
    try {
      const need = (meta.size ?? 0) - from;
      const free = this.parts.disk ? Infinity : await freeStorage();
      if (need > free) {
        throw Object.assign(new Error(`${need} bytes do not fit into ${free}`), { name: 'QuotaExceededError' });
      }
      return await store.writer(meta, from);
    } catch (error) {
      this.cacheFailed(error);
      return null;
    }
  }
}

export function htmlError(url: string): TareasError {
  return new TareasError('html', `${url} is a web page, not a file of a model`, {
    url,
    remedy:
      'the server answers with its start page where it has no such file: check the path (env.localModelPath, env.remoteHost) and that the file is deployed',
  });
}
