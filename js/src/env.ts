import { platform } from './platform.js';

/** What a custom cache has to offer; keys are the files' URLs. `delete` and `keys` make the `cache` functions work. */
export interface CustomCache {
  match(key: string): Promise<Response | undefined>;
  put(key: string, response: Response): Promise<void>;
  delete?(key: string): Promise<boolean>;
  keys?(): Promise<readonly string[]>;
}

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug';

/** Where the engine's two builds are, for pages whose bundler cannot find them. */
export interface WasmUrls {
  simd?: string | URL;
  relaxed?: string | URL;
}

/** Settings for every pipeline that is made after they are set; the names are transformers.js's. */
export interface Environment {
  /** Version of this package. */
  readonly version: string;
  /** Where models come from. Default `https://huggingface.co/`. */
  remoteHost: string;
  /** Path of a model's files on the host; the file's name is appended. Default `{model}/resolve/{revision}/`. */
  remotePathTemplate: string;
  /** Folder (Node) or URL (browsers) that is tried before the host when `allowLocalModels` is set. Default `/models/`, in Node `./models/`. */
  localModelPath: string;
  /** Default true. */
  allowRemoteModels: boolean;
  /** Default true in Node and false in browsers. A model given as a path or URL is always allowed. */
  allowLocalModels: boolean;
  /** Keep downloads in the Cache API. Default: where there is one. */
  useBrowserCache: boolean;
  /** Keep downloads in `customCache` instead. Default false. */
  useCustomCache: boolean;
  customCache: CustomCache | null;
  /** Read models from the file system. Default: in Node. */
  useFS: boolean;
  /** Keep downloads in `cacheDir`. Default: in Node. */
  useFSCache: boolean;
  /** Default: `tareas` in the user's cache folder. */
  cacheDir: string | null;
  /** Name of the Cache API's cache. Default `tareas-cache`. */
  cacheKey: string;
  /** Used for every download; null is the global `fetch`. With another one, and with a custom cache, downloads run outside the worker. */
  fetch: typeof globalThis.fetch | null;
  /** Attempts after a failed one, for each stretch of a file without progress. Default 4. */
  retries: number;
  /** Milliseconds before the first retry; doubled each time. Default 500. */
  retryDelay: number;
  /** Milliseconds without a byte after which a download counts as stuck and is resumed. Default 60000. */
  stallTimeout: number;
  /** The engine's `.wasm` (or both builds), where it is not beside this module. */
  wasmUrl: string | URL | WasmUrls | null;
  /** Force one of the two builds. Default `auto`: relaxed SIMD where the engine has it. */
  wasmBuild: 'auto' | 'simd' | 'relaxed';
  /** The worker module, where it is not beside this module. */
  workerUrl: string | URL | null;
  /** The module that captures a microphone, where it is not beside this module. */
  workletUrl: string | URL | null;
  /** What is written to the console. Default `silent`: everything is also an event or an error. */
  logLevel: LogLevel;
}

declare const __VERSION__: string;
/** Version of the package, put in by the build. */
export const VERSION: string = __VERSION__;

export const env: Environment = {
  version: VERSION,
  remoteHost: 'https://huggingface.co/',
  remotePathTemplate: '{model}/resolve/{revision}/',
  localModelPath: platform.isNode ? './models/' : '/models/',
  allowRemoteModels: true,
  allowLocalModels: platform.isNode,
  useBrowserCache: !platform.isNode && typeof caches !== 'undefined',
  useCustomCache: false,
  customCache: null,
  useFS: platform.isNode,
  useFSCache: platform.isNode,
  cacheDir: platform.defaultCacheDir(),
  cacheKey: 'tareas-cache',
  fetch: null,
  retries: 4,
  retryDelay: 500,
  stallTimeout: 60_000,
  wasmUrl: null,
  wasmBuild: 'auto',
  workerUrl: null,
  workletUrl: null,
  logLevel: 'silent',
};

/** The part of the environment that a worker needs: plain data, with every URL absolute. */
export interface HubSettings {
  remoteHost: string;
  remotePathTemplate: string;
  localModelPath: string;
  allowRemoteModels: boolean;
  allowLocalModels: boolean;
  useBrowserCache: boolean;
  useFS: boolean;
  useFSCache: boolean;
  cacheDir: string | null;
  cacheKey: string;
  retries: number;
  retryDelay: number;
  stallTimeout: number;
}

export interface EngineSettings {
  wasmUrl: { simd?: string; relaxed?: string } | null;
  wasmBuild: 'auto' | 'simd' | 'relaxed';
}

/**
 * A worker resolves relative URLs against its own script, which a bundler may have put anywhere;
 * the user means the page's.
 */
export function absoluteUrl(url: string | URL): string {
  const text = String(url);
  if (platform.isNode) return text;
  const base = typeof document === 'undefined' ? globalThis.location?.href : document.baseURI;
  return base ? new URL(text, base).href : text;
}

/** A snapshot of what the hub reads, so that later changes of `env` do not reach a load under way. */
export function hubSettings(cacheDir?: string | null): HubSettings {
  const { localModelPath, remoteHost } = env;
  return {
    remoteHost: absoluteUrl(remoteHost),
    remotePathTemplate: env.remotePathTemplate,
    localModelPath: absoluteUrl(localModelPath),
    allowRemoteModels: env.allowRemoteModels,
    allowLocalModels: env.allowLocalModels,
    useBrowserCache: env.useBrowserCache,
    useFS: env.useFS,
    useFSCache: env.useFSCache,
    cacheDir: cacheDir ?? env.cacheDir,
    cacheKey: env.cacheKey,
    retries: env.retries,
    retryDelay: env.retryDelay,
    stallTimeout: env.stallTimeout,
  };
}

export function engineSettings(): EngineSettings {
  const { wasmUrl, wasmBuild } = env;
  if (wasmUrl === null) return { wasmUrl: null, wasmBuild };
  if (typeof wasmUrl === 'string' || wasmUrl instanceof URL) {
    const url = absoluteUrl(wasmUrl);
    return { wasmUrl: { simd: url, relaxed: url }, wasmBuild };
  }
  const urls: { simd?: string; relaxed?: string } = {};
  if (wasmUrl.simd) urls.simd = absoluteUrl(wasmUrl.simd);
  if (wasmUrl.relaxed) urls.relaxed = absoluteUrl(wasmUrl.relaxed);
  return { wasmUrl: urls, wasmBuild };
}

const LEVELS: LogLevel[] = ['silent', 'error', 'warn', 'info', 'debug'];

/** Writes to the console only where `env.logLevel` asks for it. */
export function log(level: Exclude<LogLevel, 'silent'>, ...parts: unknown[]): void {
  if (LEVELS.indexOf(env.logLevel) >= LEVELS.indexOf(level)) console[level](...parts);
}
