import type { Disk } from '../platform.js';
import type { CachedFile, Entry, FileMeta, Store, StoreWriter } from './store.js';

type Key = Pick<FileMeta, 'url' | 'model' | 'revision' | 'file'>;

/** Beside a begun download: what it is a part of. */
type Sidecar = Pick<FileMeta, 'url' | 'size' | 'validator'>;

const PART = '.part';
const SIDECAR = '.part.json';

/**
 * Downloads in a folder: `{host}/{model}/{revision}/{file}`, each of the first three as one URL
 * component. A file appears under its name only when it is whole.
 */
export class DiskStore implements Store {
  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {}

  private path(key: Key): string {
    const folders = [new URL(key.url).host, key.model, key.revision].map((part) => encodeURIComponent(part));
    return this.disk.join(this.folder, ...folders, ...key.file.split('/'));
  }

  async get(url: string, meta: Omit<FileMeta, 'size' | 'validator'>): Promise<Entry | null> {
    const path = this.path(meta);
    const whole = await this.disk.open(path);
    if (whole) {
      const known = { ...meta, url, size: whole.size, validator: null };
      return { meta: known, have: whole.size, complete: true, chunks: () => whole.chunks(0) };
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

  async remove(meta: Key): Promise<void> {
    const path = this.path(meta);
    for (const suffix of ['', PART, SIDECAR]) await this.disk.remove(path + suffix);
  }

  async list(): Promise<CachedFile[]> {
    const files: CachedFile[] = [];
    for (const { path, size } of await this.disk.list(this.folder)) {
      if (path.endsWith(SIDECAR) || path.endsWith('.lock')) continue;
      const [host = '', model = '', revision = '', ...rest] = path.split('/');
      if (rest.length === 0) continue;
      const complete = !path.endsWith(PART);
      const file = complete ? rest.join('/') : rest.join('/').slice(0, -PART.length);
      const sidecar = complete ? null : await this.sidecar(this.disk.join(this.folder, path.slice(0, -PART.length)));
      const [m, r] = [decodeURIComponent(model), decodeURIComponent(revision)];
      const url = sidecar?.url ?? `${decodeURIComponent(host)}/${m}/${r}/${file}`;
      files.push({ model: m, revision: r, file, url, bytes: size, complete });
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
