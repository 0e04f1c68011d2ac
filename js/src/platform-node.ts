import {
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Disk, DiskFile, DiskWriter, Platform } from './platform.js';

const READ_CHUNK = 1 << 20;
/** A file that nobody wrote to for this long has lost its writer, whatever the lock says. */
const STALE_LOCK_MS = 30_000;

async function* readChunks(path: string, from: number): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    let position = from;
    for (;;) {
      const buffer = new Uint8Array(READ_CHUNK);
      const { bytesRead } = await file.read(buffer, 0, READ_CHUNK, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function missing(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Takes the lock of a file, or answers false where another process (or pipeline) is writing it. */
async function lock(path: string, file: string): Promise<boolean> {
  const changed = (name: string) =>
    stat(name).then(
      (info) => info.mtimeMs,
      () => 0,
    );
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await (await open(path, 'wx')).close();
      return true;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
      const touched = Math.max(await changed(path), await changed(file));
      if (Date.now() - touched < STALE_LOCK_MS) return false;
      await rm(path, { force: true });
    }
  }
  return false;
}

const disk: Disk = {
  async open(path): Promise<DiskFile | null> {
    try {
      const info = await stat(path);
      if (!info.isFile()) return null;
      return { size: info.size, chunks: (from) => readChunks(path, from) };
    } catch (error) {
      if (missing(error)) return null;
      throw error;
    }
  },
  isFolder: (path) =>
    stat(path).then(
      (info) => info.isDirectory(),
      () => false,
    ),
  isAbsolute,
  join,
  async write(path, data) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
  },
  async append(path, from): Promise<DiskWriter | null> {
    await mkdir(dirname(path), { recursive: true });
    const lockPath = `${path}.lock`;
    if (!(await lock(lockPath, path))) return null;
    let file: FileHandle | undefined;
    try {
      file = await open(path, from > 0 ? 'r+' : 'w');
      await file.truncate(from);
    } catch (error) {
      await file?.close();
      await rm(lockPath, { force: true });
      throw error;
    }
    const handle = file;
    let position = from;
    return {
      async write(chunk) {
        await handle.write(chunk, 0, chunk.byteLength, position);
        position += chunk.byteLength;
      },
      async close() {
        await handle.close();
        await rm(lockPath, { force: true });
      },
    };
  },
  rename,
  remove: (path) => rm(path, { force: true, recursive: true }),
  async list(folder) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
      (error: unknown) => {
        if (missing(error)) return [];
        throw error;
      },
    );
    const files = entries.filter((entry) => entry.isFile());
    return Promise.all(
      files.map(async (entry) => {
        // `path` in Node 20, `parentPath` since.
        const full = join((entry as { parentPath?: string }).parentPath ?? entry.path, entry.name);
        return { path: relative(folder, full).split(sep).join('/'), size: (await stat(full)).size };
      }),
    );
  },
};

export const platform: Platform = {
  isNode: true,
  disk,

  defaultCacheDir() {
    return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tareas');
  },

  startWorker(url) {
    const isUrl = url instanceof URL || (url !== null && url.startsWith('file:'));
    const worker = isUrl
      ? new Worker(new URL(url))
      : new Worker(url ?? new URL('./node-worker.js', import.meta.url));
    let over = false;
    return {
      post: (message, transfer) => worker.postMessage(message, transfer as ArrayBuffer[]),
      onMessage: (handler) => worker.on('message', handler),
      onCrash(handler) {
        worker.on('error', (error) => handler(error instanceof Error ? error.message : String(error)));
        worker.on('exit', (code) => {
          if (!over) handler(`the worker left with code ${code}`);
        });
      },
      terminate() {
        over = true;
        void worker.terminate();
      },
      keepAlive: (on) => (on ? worker.ref() : worker.unref()),
    };
  },

  async openWasm(build, url) {
    if (url && /^https?:/.test(url)) return fetch(url);
    if (url) return readFile(url.startsWith('file:') ? fileURLToPath(url) : url);
    return readFile(
      build === 'relaxed'
        ? new URL('./tareas.relaxed.wasm', import.meta.url)
        : new URL('./tareas.simd.wasm', import.meta.url),
    );
  },

  // A token for gated models, from the variables that Hugging Face's own tools read; never to another host.
  headers(url, remoteHost): Record<string, string> {
    const token = process.env['HF_TOKEN'] ?? process.env['HF_ACCESS_TOKEN'];
    if (!token || new URL(url).host !== new URL(remoteHost).host) return {};
    return { Authorization: `Bearer ${token}` };
  },
};
