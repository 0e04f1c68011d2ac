import type { EngineSettings } from './env.js';
import { TareasError, throwIfAborted } from './errors.js';
import { platform } from './platform.js';

/** The tasks as the engine names them. */
export type TaskId =
  | 'text-classification'
  | 'zero-shot-classification'
  | 'token-classification'
  | 'question-answering'
  | 'fill-mask'
  | 'feature-extraction'
  | 'next-sentence-prediction'
  | 'automatic-speech-recognition'
  | 'audio-classification'
  | 'audio-feature-extraction'
  | 'image-classification'
  | 'object-detection'
  | 'image-segmentation'
  | 'depth-estimation'
  | 'image-feature-extraction'
  | 'text-generation'
  | 'text2text-generation'
  | 'summarization'
  | 'translation';

export type Device = 'auto' | 'webgpu' | 'wasm';
export type DType = 'auto' | 'fp32' | 'fp16' | 'q8' | 'q4';

/** Switches for tests of the GPU path. */
export interface GpuOptions {
  /** Ask for WebGPU's default limits instead of the adapter's own. */
  default_limits?: boolean;
  /** Optional features to leave alone: `shader-f16`, `subgroups`, `packed-dot`. */
  disable?: string[];
  /** Make the self-test at load fail. */
  corrupt_self_test?: boolean;
}

export interface LoaderOptions {
  task: TaskId;
  device: Device;
  dtype: DType;
  gpu?: GpuOptions;
}

/** What the engine knows once it has read the configuration. */
export interface Opened {
  model_type: string;
  architecture: string;
  device: 'webgpu' | 'wasm';
  dtype?: string;
  fallback: string | null;
  adapter: string | null;
  /** Weight files, in the order in which the engine wants them. */
  files: string[];
}

export interface EngineInfo {
  task: TaskId;
  model_type: string;
  architecture: string;
  device: 'webgpu' | 'wasm';
  dtype: string;
  /** Why the GPU is not used, where it was asked for by `auto`. */
  fallback: string | null;
  adapter: string | null;
  labels: string[];
}

/** Bytes. */
export interface MemoryReport {
  /** Weights, on the model's device. */
  weights: number;
  /** Intermediate values, on the model's device. */
  activations: number;
  /** The wasm heap. */
  heap: number;
}

export interface OpTiming {
  op: string;
  ms: number;
  calls: number;
}

export interface Counters {
  runs: number;
  plans: number;
  pipelines: number;
  bind_groups: number;
  buffers: number;
  dispatches: number;
  submits: number;
  read_backs: number;
}

/** The wasm exports (src/wasm). */
export interface EngineLoader {
  add_file(name: string, bytes: Uint8Array): void;
  open(): Promise<Opened>;
  begin_weights(name: string, bytesTotal: number): void;
  push_weights(chunk: Uint8Array): void;
  end_weights(): void;
  /** `report` is called with the name of each phase as it begins. */
  finish(report?: (phase: string) => void): Promise<EngineModel>;
  free(): void;
}

/** What a running call may ask of its caller. */
export interface EngineHost {
  /** Takes a piece of the answer while the call runs. */
  piece(piece: unknown): void;
  /** Answers what only the caller's code knows. */
  ask(question: unknown): Promise<unknown>;
}

export interface EngineModel {
  /** While this is pending no other method may be called. */
  run(input: unknown, options: unknown, host: EngineHost): Promise<unknown>;
  info(): EngineInfo;
  memory(): MemoryReport;
  timings(): OpTiming[];
  counters(): Counters;
  /** Stops the run under way; an object of its own, as the model itself is borrowed by its run. */
  abort_handle(): { abort(): void; free(): void };
  lose_device(): void;
  free(): void;
}

export interface EngineQuantizer {
  add_file(name: string, bytes: Uint8Array): void;
  /** After the small files, before the weights. */
  open(): void;
  begin_weights(name: string, bytesTotal: number): void;
  push_weights(chunk: Uint8Array): void;
  end_weights(): void;
  /** What `write` throws is thrown on, as it is. */
  finish(write: (chunk: Uint8Array) => void): void;
  free(): void;
}

export interface Engine {
  Loader: new (options: LoaderOptions) => EngineLoader;
  Quantizer: new (dtype: 'fp16' | 'q8' | 'q4') => EngineQuantizer;
  version(): string;
  relaxed(): boolean;
}

/** What wasm-bindgen's glue exports, as the build wraps it: every call makes an instance of its own. */
export interface Glue extends Engine {
  default(options: { module_or_path: WebAssembly.Module }): Promise<unknown>;
}
export type GlueFactory = () => Glue;

// Smallest modules that use the feature: (func (result v128) …).
const SIMD_PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98,
  11,
];
const RELAXED_PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2,
  253, 15, 253, 128, 2, 11,
];

/** Which of the two builds this browser can run. */
export function pickBuild(wanted: EngineSettings['wasmBuild'] = 'auto'): 'simd' | 'relaxed' {
  const runs = (bytes: number[]) => WebAssembly.validate(new Uint8Array(bytes));
  if (typeof WebAssembly === 'undefined') {
    throw new TareasError('unsupported', 'There is no WebAssembly here', {
      remedy:
        "a page with a Content-Security-Policy needs script-src 'wasm-unsafe-eval'; lockdown modes switch it off",
    });
  }
  if (!runs(SIMD_PROBE)) {
    throw new TareasError('unsupported', 'This browser has no WebAssembly SIMD', {
      remedy: 'Chrome and Edge 91, Firefox 89, Safari 16.4 and later have it',
    });
  }
  const relaxed = runs(RELAXED_PROBE);
  if (wanted === 'relaxed' && !relaxed) {
    throw new TareasError('unsupported', 'This browser has no WebAssembly relaxed SIMD', {
      remedy: "set env.wasmBuild to 'auto'",
    });
  }
  return wanted === 'simd' || !relaxed ? 'simd' : 'relaxed';
}

/** Compiled modules are code only, shared by every instance of this thread. */
const modules = new Map<string, Promise<WebAssembly.Module>>();

async function compile(build: 'simd' | 'relaxed', url: string | undefined): Promise<WebAssembly.Module> {
  const where = url ?? `tareas.${build}.wasm`;
  const unreachable = (cause: unknown) =>
    new TareasError('network', `The engine (${where}) could not be loaded`, {
      cause,
      ...(url ? { url } : {}),
      remedy: 'serve the .wasm files of the package beside its modules, or set env.wasmUrl to where they are',
    });
  const opened = await platform.openWasm(build, url).catch((error: unknown) => {
    throw unreachable(error);
  });
  let bytes: Uint8Array;
  if (opened instanceof Uint8Array) bytes = opened;
  else {
    if (!opened.ok) throw unreachable(new Error(`status ${opened.status}`));
    if (opened.headers.get('content-type')?.startsWith('application/wasm'))
      return WebAssembly.compileStreaming(opened);
    // A server that does not know the type; streaming compilation insists on it.
    bytes = new Uint8Array(await opened.arrayBuffer());
  }
  if (bytes[0] !== 0 || bytes[1] !== 0x61) throw unreachable(new Error('this is no WebAssembly module'));
  return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
}

/** A new instance of the engine with a memory of its own, which goes when the instance goes. */
export async function startEngine(
  glue: Record<'simd' | 'relaxed', GlueFactory>,
  settings: EngineSettings,
  signal?: AbortSignal,
): Promise<Engine> {
  const build = pickBuild(settings.wasmBuild);
  const url = settings.wasmUrl?.[build];
  const key = `${build} ${url ?? ''}`;
  let module = modules.get(key);
  if (!module) {
    module = compile(build, url);
    modules.set(key, module);
    module.catch(() => modules.delete(key));
  }
  const compiled = await module;
  throwIfAborted(signal);
  const engine = glue[build]();
  await engine.default({ module_or_path: compiled });
  return engine;
}
