import { env, hubSettings } from './env.js';
import { openStore } from './hub/index.js';
import type { CachedFile, Store } from './hub/store.js';

export type { CachedFile } from './hub/store.js';

function store(): Promise<Store | null> {
  return openStore(hubSettings(), env.useCustomCache ? env.customCache : null);
}

/** What downloads have left behind: the Cache API's cache, a folder in Node, or `env.customCache`. */
export const cache = {
  /** Every file, whole or begun. */
  async list(): Promise<CachedFile[]> {
    const files = (await (await store())?.list()) ?? [];
    return files.filter((file) => !file.absent);
  },

  /** Bytes; of one model, or of all. */
  async size(model?: string): Promise<number> {
    const files = await cache.list();
    return files.reduce(
      (sum, file) => sum + (model === undefined || file.model === model ? file.bytes : 0),
      0,
    );
  },

  /** Deletes one model's files, or everything; returns how many files went. */
  async clear(model?: string): Promise<number> {
    const opened = await store();
    const files = ((await opened?.list()) ?? []).filter(
      (file) => model === undefined || file.model === model,
    );
    for (const file of files) await opened?.remove(file);
    return files.filter((file) => !file.absent).length;
  },
};

/** Whether a model can be loaded without a connection: its configuration and all its weights are in the cache. */
export async function isCached(model: string, options: { revision?: string } = {}): Promise<boolean> {
  const { revision = 'main' } = options;
  const files = (await cache.list()).filter((file) => file.model === model && file.revision === revision);
  const whole = files.every((file) => file.complete);
  const has = (test: RegExp) => files.some((file) => test.test(file.file));
  if (!whole || !has(/(^|\/)config\.json$/)) return false;
  const shards = files
    .map((file) => /-(\d+)-of-(\d+)\.safetensors$/.exec(file.file))
    .filter((match) => match !== null);
  return shards.length > 0 ? shards.length === Number(shards[0]![2]) : has(/\.safetensors$/);
}
