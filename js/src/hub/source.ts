import { TareasError, throwIfAborted } from '../errors.js';
import type { HubSettings } from '../env.js';
import type { ErrorCode } from '../errors.js';
import type { Disk } from '../platform.js';
import { exists, openRemote, type Net, type Remote } from './download.js';
import { isPlace, localPath, remoteUrl, type ModelRef } from './resolve.js';
import type { Entry, FileKey, FileMeta, Store, StoreWriter } from './store.js';

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
  /** The model was loaded from these files: the ones that it lacks need not be asked for again. */
  settle(): Promise<void>;
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
  private local: Promise<boolean> | null = null;
  /** What the server said does not exist. */
  private absent: FileKey[] = [];

  constructor(private readonly parts: HubParts) {
    this.store = parts.store;
  }

  describe(file: string): string {
    const { ref, settings } = this.parts;
    return isPlace(ref.model) ? localPath(settings, ref, file) : remoteUrl(settings, ref, file);
  }

  async open(file: string, signal?: AbortSignal): Promise<OpenFile | null> {
    const { settings, localFilesOnly } = this.parts;
    if (await this.isLocal(signal)) return this.openLocal(file, signal);
    const key = this.key(file);
    const entry = await this.lookUp(key);
    if (entry?.absent) return null;
    if (entry?.complete) return this.fromCache(entry);
    if (localFilesOnly || !settings.allowRemoteModels) return null;
    return this.fromNetwork(key, entry, signal);
  }

  async has(file: string, signal?: AbortSignal): Promise<boolean> {
    const { ref, settings, localFilesOnly } = this.parts;
    if (await this.isLocal(signal)) return this.hasLocal(file, signal);
    if (localFilesOnly || !settings.allowRemoteModels) return false;
    return exists(remoteUrl(settings, ref, file), this.parts.net, signal).catch(() => false);
  }

  private async hasLocal(file: string, signal?: AbortSignal): Promise<boolean> {
    const { ref, settings, net, disk } = this.parts;
    const path = localPath(settings, ref, file);
    if (/^https?:/.test(path)) return exists(path, net, signal).catch(() => false);
    return settings.useFS && disk !== null && (await disk.open(path)) !== null;
  }

  /** Whether all files come from a place: the model is one, or a copy of it is below `localModelPath`. */
  private isLocal(signal?: AbortSignal): Promise<boolean> {
    const { ref, settings } = this.parts;
    if (isPlace(ref.model)) return Promise.resolve(true);
    if (!settings.allowLocalModels) return Promise.resolve(false);
    return (this.local ??= this.hasLocal('config.json', signal));
  }

  async forget(file: string): Promise<void> {
    await this.store?.remove(this.key(file)).catch(() => {});
  }

  /** Only after a load that worked: a model that is being uploaded must not stay incomplete for ever. */
  async settle(): Promise<void> {
    const { absent, store } = this;
    this.absent = [];
    try {
      for (const key of absent) await store?.markAbsent(key);
    } catch (error) {
      this.cacheFailed(error);
    }
  }

  private key(file: string): FileKey {
    const { ref, settings } = this.parts;
    const path = ref.subfolder ? `${ref.subfolder}/${file}` : file;
    return { url: remoteUrl(settings, ref, file), model: ref.model, revision: ref.revision, file: path };
  }

  private async openLocal(file: string, signal?: AbortSignal): Promise<OpenFile | null> {
    const { settings, ref, disk, net } = this.parts;
    const path = localPath(settings, ref, file);
    if (/^https?:/.test(path)) {
      // The page's own files are not copied into our cache; the browser's is the right one for them.
      const remote = await openRemote(path, { ...net, cache: 'default' }, { signal });
      if (!remote) return null;
      return this.network(remote, path);
    }
    if (!disk || !settings.useFS) return null;
    const opened = await disk.open(path);
    return opened && { size: opened.size, from: 'local', chunks: () => opened.chunks(0), cancel: () => {} };
  }

  /** A cache that cannot be read is no reason to fail: the file is downloaded. */
  private async lookUp(key: FileKey): Promise<Entry | null> {
    try {
      return (await this.store?.get(key)) ?? null;
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
    return {
      size: remote.size,
      from: 'network',
      chunks: () => remote.chunks(),
      cancel: () => remote.cancel(),
    };
  }

  /** The rest of a begun download, or all of it; a copy goes into the cache as it passes. */
  private async fromNetwork(
    key: FileKey,
    begun: Entry | null,
    signal?: AbortSignal,
  ): Promise<OpenFile | null> {
    const { net } = this.parts;
    // Without a validator nobody can tell whether the rest belongs to the beginning.
    const have = begun?.meta.validator ? begun.have : 0;
    const known = { from: have, validator: begun?.meta.validator ?? null, size: begun?.meta.size ?? null };
    const remote = await openRemote(key.url, net, { ...known, signal });
    if (!remote) {
      this.absent.push(key);
      return null;
    }
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
        throw Object.assign(new Error(`${need} bytes do not fit into ${free}`), {
          name: 'QuotaExceededError',
        });
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
