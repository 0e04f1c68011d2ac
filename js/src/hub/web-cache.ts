import type { CustomCache } from '../env.js';
import type { CachedFile, Entry, FileKey, FileMeta, Store, StoreWriter } from './store.js';

/**
 * Files are kept as parts of this size, so that no file is ever whole in memory on its way into
 * the cache and a download that breaks off is resumed behind its last whole part.
 */
export const PART_SIZE = 8 << 20;

const MANIFEST_HEADER = 'x-tareas-manifest';

/** Stands in the cache under the file's own URL; the parts stand beside it. */
interface Manifest extends FileMeta {
  parts: number;
  have: number;
  complete: boolean;
  absent?: boolean;
  /** Of this download: parts of two versions of a file must never be mixed. */
  token: string;
}

function partUrl(manifest: Pick<Manifest, 'url' | 'token'>, index: number): string {
  const separator = manifest.url.includes('?') ? '&' : '?';
  return `${manifest.url}${separator}tareas-part=${index}-${manifest.token}`;
}

function putManifest(cache: CustomCache, manifest: Manifest): Promise<void> {
  const headers = { 'content-type': 'application/json', [MANIFEST_HEADER]: '1' };
  return cache.put(manifest.url, new Response(JSON.stringify(manifest), { headers }));
}

function newToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

/** The Cache API (or a cache of the user's) as a store. */
export class WebCacheStore implements Store {
  constructor(private readonly cache: CustomCache) {}

  static async open(cacheKey: string): Promise<WebCacheStore> {
    const cache = await caches.open(cacheKey);
    return new WebCacheStore({
      match: (key) => cache.match(key),
      put: (key, response) => cache.put(key, response),
      delete: (key) => cache.delete(key),
      keys: async () => (await cache.keys()).map((request) => request.url),
    });
  }

  private async manifest(url: string): Promise<Manifest | Response | null> {
    const response = await this.cache.match(url);
    if (!response) return null;
    if (!response.headers.get(MANIFEST_HEADER)) return response;
    return (await response.json()) as Manifest;
  }

  async get(key: FileKey): Promise<Entry | null> {
    const found = await this.manifest(key.url);
    if (!found) return null;
    if (found instanceof Response) return wholeResponse(found, key);
    const { parts, have, complete, absent = false } = found;
    return { meta: found, have, complete, absent, chunks: () => this.parts(found, parts) };
  }

  async markAbsent(key: FileKey): Promise<void> {
    const { url, model, revision, file } = key;
    const known = { url, model, revision, file, size: 0, validator: null };
    await putManifest(this.cache, { ...known, parts: 0, have: 0, complete: true, absent: true, token: '' });
  }

  private async part(manifest: Manifest, index: number): Promise<Uint8Array> {
    const response = await this.cache.match(partUrl(manifest, index));
    if (!response) {
      await this.cache.delete?.(manifest.url);
      throw new Error(`part ${index} of ${manifest.url} has gone from the cache`);
    }
    return new Uint8Array(await response.arrayBuffer());
  }

  private async *parts(manifest: Manifest, count: number): AsyncGenerator<Uint8Array> {
    let next = count > 0 ? this.part(manifest, 0) : null;
    for (let index = 1; next; index++) {
      const part: Uint8Array = await next;
      // The next part is read while the engine works on this one.
      next = index < count ? this.part(manifest, index) : null;
      next?.catch(() => {});
      yield part;
    }
  }

  async writer(meta: FileMeta, from: number): Promise<StoreWriter | null> {
    const found = await this.manifest(meta.url);
    const old = found instanceof Response ? null : found;
    let manifest: Manifest = { ...meta, parts: 0, have: 0, complete: false, token: newToken() };
    if (old && from > 0 && old.have === from) manifest = { ...old, ...meta };
    else if (old) await this.remove(meta);
    return new PartsWriter(this.cache, manifest);
  }

  async remove(meta: FileKey): Promise<void> {
    const found = await this.manifest(meta.url);
    if (!found) return;
    await this.cache.delete?.(meta.url);
    if (found instanceof Response) return;
    for (let index = 0; index < found.parts; index++) await this.cache.delete?.(partUrl(found, index));
  }

  async list(): Promise<CachedFile[]> {
    const files: CachedFile[] = [];
    for (const url of (await this.cache.keys?.()) ?? []) {
      if (/[?&]tareas-part=/.test(url)) continue;
      const found = await this.manifest(url);
      if (!found || found instanceof Response) continue;
      const { model, revision, file, have, complete, absent } = found;
      files.push({ model, revision, file, url, bytes: have, complete, ...(absent ? { absent } : {}) });
    }
    return files;
  }
}

/** An entry that somebody else put there as an ordinary response (a custom cache that was filled by hand). */
function wholeResponse(response: Response, key: FileKey): Entry {
  const length = response.headers.get('content-length');
  const size = length === null ? null : Number(length);
  return {
    meta: { ...key, size, validator: response.headers.get('etag') },
    have: size ?? 0,
    complete: true,
    async *chunks() {
      const reader = response.body?.getReader();
      if (!reader) return yield new Uint8Array(await response.arrayBuffer());
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    },
  };
}

class PartsWriter implements StoreWriter {
  private readonly buffer: Uint8Array<ArrayBuffer>;
  private filled = 0;
  /** One part is written while the next one fills. */
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly cache: CustomCache,
    private readonly manifest: Manifest,
  ) {
    // Small files get a buffer of their size.
    const left = manifest.size === null ? PART_SIZE : manifest.size - manifest.have;
    this.buffer = new Uint8Array(Math.max(1, Math.min(PART_SIZE, left)));
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength;) {
      const piece = chunk.subarray(at, at + this.buffer.byteLength - this.filled);
      this.buffer.set(piece, this.filled);
      this.filled += piece.byteLength;
      at += piece.byteLength;
      if (this.filled === this.buffer.byteLength) await this.flush();
    }
  }

  private async flush(): Promise<void> {
    const bytes = this.buffer.slice(0, this.filled);
    this.filled = 0;
    await this.writing;
    this.writing = this.putPart(bytes);
    // Reported by the next flush, or by finish.
    this.writing.catch(() => {});
  }

  private async putPart(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { manifest } = this;
    await this.cache.put(partUrl(manifest, manifest.parts), new Response(bytes));
    manifest.parts += 1;
    manifest.have += bytes.byteLength;
    await putManifest(this.cache, manifest);
  }

  async finish(): Promise<void> {
    if (this.filled > 0) await this.flush();
    await this.writing;
    this.manifest.complete = true;
    this.manifest.size = this.manifest.have;
    await putManifest(this.cache, this.manifest);
  }

  async stop(): Promise<void> {
    // The begun part is dropped: every part but the last has the same size.
    this.filled = 0;
    await this.writing;
  }
}
