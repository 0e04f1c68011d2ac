import type { Disk } from '../platform.js';
import type { CachedFile, Entry, FileKey, FileMeta, Store, StoreWriter } from './store.js';

/** Beside a begun download: what it is a part of. */
type Sidecar = Pick<FileMeta, 'url' | 'size' | 'validator'>;

const PART = '.part';
const SIDECAR = '.part.json';
const ABSENT = '.absent';

/**
 * Downloads in a folder: `{host}/{model}/{revision}/{file}`, each of the first three as one URL
 * component. A file appears under its name only when it is whole.
 */
export class DiskStore implements Store {
  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {}

  private path(key: FileKey): string {
    const folders = [new URL(key.url).host, key.model, key.revision].map((part) => encodeURIComponent(part));
    return this.disk.join(this.folder, ...folders, ...key.file.split('/'));
  }

  async get(key: FileKey): Promise<Entry | null> {
    const { url, model, revision, file } = key;
    const meta = { url, model, revision, file };
    const path = this.path(key);
    const whole = await this.disk.open(path);
    if (whole) {
      const known = { ...meta, size: whole.size, validator: null };
      return { meta: known, have: whole.size, complete: true, chunks: () => whole.chunks(0) };
    }
    if (await this.disk.open(path + ABSENT)) {
      const known = { ...meta, size: 0, validator: null };
      return { meta: known, have: 0, complete: true, absent: true, async *chunks() {} };
    }
    const part = await this.disk.open(path + PART);
    const sidecar = part && (await this.sidecar(path));
    if (!part || !sidecar || sidecar.url !== url) return null;
    const have = part.size;
    return {
      meta: { ...meta, ...sidecar },
      have,
      complete: false,
      chunks: () => limit(part.chunks(0), have),
    };
  }

  async markAbsent(key: FileKey): Promise<void> {
    await this.disk.write(this.path(key) + ABSENT, '');
  }

  private async sidecar(path: string): Promise<Sidecar | null> {
    const file = await this.disk.open(path + SIDECAR);
    if (!file) return null;
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of file.chunks(0)) text += decoder.decode(chunk, { stream: true });
    try {
      return JSON.parse(text) as Sidecar;
    } catch {
      return null; // The process was killed while it wrote this; the download starts over.
    }
  }

  async writer(meta: FileMeta, from: number): Promise<StoreWriter | null> {
    const { disk } = this;
    const path = this.path(meta);
    const file = await disk.append(path + PART, from);
    if (!file) return null;
    const sidecar: Sidecar = { url: meta.url, size: meta.size, validator: meta.validator };
    await disk.write(path + SIDECAR, JSON.stringify(sidecar));
    return {
      write: (chunk) => file.write(chunk),
      async finish() {
        await file.close();
        await disk.rename(path + PART, path);
        await disk.remove(path + SIDECAR);
      },
      stop: () => file.close(),
    };
  }

  async remove(meta: FileKey): Promise<void> {
    const path = this.path(meta);
    for (const suffix of ['', PART, SIDECAR, ABSENT]) await this.disk.remove(path + suffix);
  }

  async list(): Promise<CachedFile[]> {
    const files: CachedFile[] = [];
    for (const { path, size } of await this.disk.list(this.folder)) {
      if (path.endsWith(SIDECAR) || path.endsWith('.lock')) continue;
      const [host = '', model = '', revision = '', ...rest] = path.split('/');
      if (rest.length === 0) continue;
      const suffix = [PART, ABSENT].find((ending) => path.endsWith(ending)) ?? '';
      const bare = path.slice(0, path.length - suffix.length);
      const file = rest.join('/').slice(0, rest.join('/').length - suffix.length);
      const sidecar = suffix === PART ? await this.sidecar(this.disk.join(this.folder, bare)) : null;
      const [h, m, r] = [host, model, revision].map(decodeURIComponent) as [string, string, string];
      const url = sidecar?.url ?? `https://${h}/${m}/resolve/${r}/${file}`;
      const absent = suffix === ABSENT ? { absent: true } : {};
      files.push({ model: m, revision: r, file, url, bytes: size, complete: suffix !== PART, ...absent });
    }
    return files;
  }
}

/** The first `bytes` bytes: a file that another process lengthens must not grow under the reader. */
async function* limit(chunks: AsyncGenerator<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (left <= 0) return;
    yield chunk.subarray(0, left);
    left -= chunk.byteLength;
  }
}
