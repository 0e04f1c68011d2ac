import type { CustomCache, HubSettings } from '../env.js';
import { platform } from '../platform.js';
import { DiskStore } from './disk-cache.js';
import type { Net } from './download.js';
import { FilesSource } from './files.js';
import type { ModelRef } from './resolve.js';
import { HubSource, type Notify, type Source } from './source.js';
import type { Store } from './store.js';
import { WebCacheStore } from './web-cache.js';

/** Everything that says where a model comes from, as plain data: it crosses to the worker. */
export interface SourceSpec {
  ref: ModelRef;
  settings: HubSettings;
  localFilesOnly: boolean;
  files: Map<string, Blob | Uint8Array> | null;
}

/** What cannot cross to a worker. A source that needs it stays on the caller's side. */
export interface SourceHooks {
  fetch: typeof globalThis.fetch | null;
  customCache: CustomCache | null;
}

/** The cache that the settings ask for; null for none. */
export async function openStore(
  settings: HubSettings,
  customCache: CustomCache | null,
): Promise<Store | null> {
  if (customCache) return new WebCacheStore(customCache);
  const { disk } = platform;
  if (disk && settings.useFSCache && settings.cacheDir) return new DiskStore(disk, settings.cacheDir);
  if (settings.useBrowserCache && typeof caches !== 'undefined') return WebCacheStore.open(settings.cacheKey);
  return null;
}

export async function openSource(spec: SourceSpec, hooks: SourceHooks, notify: Notify): Promise<Source> {
  const { ref, settings, files, localFilesOnly } = spec;
  if (files) return new FilesSource(files, ref.subfolder);
  // The Cache API is not there on insecure pages and may be refused in private windows.
  const store = await openStore(settings, hooks.customCache).catch((error: unknown) => {
    notify('cache', `The cache cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  });
  const net: Net = {
    fetch: hooks.fetch ?? globalThis.fetch.bind(globalThis),
    retries: settings.retries,
    retryDelay: settings.retryDelay,
    stallTimeout: settings.stallTimeout,
    cache: store ? 'no-store' : 'default',
    headers: (url) => platform.headers(url, settings.remoteHost),
  };
  return new HubSource({ ref, settings, net, store, disk: platform.disk, localFilesOnly, notify });
}
