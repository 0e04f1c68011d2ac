/// <reference lib="esnext.disposable" preserve="true" />
import { Client, type ClientRequest } from './client.js';
import { DEFAULT_MODELS } from './defaults.js';
import type {
  Counters,
  Device,
  DType,
  EngineInfo,
  GpuOptions,
  MemoryReport,
  OpTiming,
  TaskId,
} from './engine.js';
import { absoluteUrl, engineSettings, env, hubSettings } from './env.js';
import { TareasError } from './errors.js';
import type { ProgressCallback } from './events.js';
import { fileMap, type FilesInput } from './hub/files.js';
import { checkModelId, isPlace } from './hub/resolve.js';
import { checkOptions, nearest } from './nearest.js';
import { platform } from './platform.js';
import { CALL_OPTIONS, type Call, type EngineRun, type TaskDefinition } from './tasks/common.js';
import { resolveTask, type ResolvedTask, type TaskCalls, type TaskName } from './tasks/index.js';

/** Options of {@link pipeline}; the names are transformers.js's, with additions. */
export interface PipelineOptions {
  /** Told about downloads, phases and notices. */
  progress_callback?: ProgressCallback | null;
  /** In place of the repository's config.json. */
  config?: Record<string, unknown> | null;
  /** Node: where downloads are kept, in place of `env.cacheDir`. */
  cache_dir?: string | null;
  /** Use only what is on disk or in the cache. Default false. */
  local_files_only?: boolean;
  /** Branch, tag or commit. Default `main`. */
  revision?: string;
  /** Default `auto`: WebGPU where it works, the CPU otherwise. `gpu` and `cpu` are other names for `webgpu` and `wasm`. */
  device?: Device | 'gpu' | 'cpu' | null;
  /** Format of the weights; they are converted while they load. Default `auto`. */
  dtype?: DType | null;
  /** Folder of the repository that holds the files. */
  subfolder?: string;
  /** Name of the weight file without its ending. Default `model`. */
  model_file_name?: string | null;
  /** Stops the load: it rejects with code `aborted`. */
  signal?: AbortSignal;
  /** False: in this thread. True: a worker or an error. Default: a worker where that is possible. */
  worker?: boolean;
  /** Expected SHA-256 by file name; another one is an error with code `integrity`. */
  sha256?: Record<string, string>;
  /** The model's files, in place of a download. */
  files?: FilesInput | null;
  /** Switches for tests of the GPU path. */
  gpu?: GpuOptions;
}

/** What a loaded pipeline says of itself. */
export interface PipelineInfo extends EngineInfo {
  model: string;
  /** Whether it runs in a worker. */
  worker: boolean;
  /** Milliseconds of its last load. */
  load_ms: number;
}

/** What every pipeline has besides being callable. */
export interface PipelineMembers<T extends TaskId = TaskId> {
  readonly task: T;
  readonly model: string;
  info(): PipelineInfo;
  memory(): Promise<MemoryReport>;
  /** Per op, of the last call with `profile: true`. */
  timings(): Promise<OpTiming[]>;
  /** What the engine has made and done so far. */
  counters(): Promise<Counters>;
  /** For tests: destroys the GPU device; the next call recovers. */
  loseDevice(): Promise<void>;
  /** Stops what runs (it rejects with code `disposed`) and frees everything. */
  dispose(): Promise<void>;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A callable pipeline of one task. */
export type Pipeline<T extends TaskName = TaskName> = {
  [K in T]: TaskCalls[ResolvedTask<K>] & PipelineMembers<ResolvedTask<K>>;
}[T];

const OPTIONS: readonly (keyof PipelineOptions)[] = [
  'progress_callback',
  'config',
  'cache_dir',
  'local_files_only',
  'revision',
  'device',
  'dtype',
  'subfolder',
  'model_file_name',
  'signal',
  'worker',
  'sha256',
  'files',
  'gpu',
];

/** transformers.js's options that mean nothing here. */
const FOREIGN: Readonly<Record<string, string>> = {
  session_options: 'it configures ONNX Runtime, which is not used here; leave it out',
  use_external_data_format: 'it is for ONNX files; sharded safetensors are found by themselves; leave it out',
  quantized: "use dtype: 'q8' or 'fp32'",
};

const DEVICES: readonly Device[] = ['auto', 'webgpu', 'wasm'];
const DEVICE_ALIASES: Readonly<Record<string, Device>> = { gpu: 'webgpu', cpu: 'wasm' };
const DTYPES: readonly DType[] = ['auto', 'fp32', 'fp16', 'q8', 'q4'];
const DTYPE_HINTS: Readonly<Record<string, DType>> = { int8: 'q8', uint8: 'q8', bnb4: 'q4', q4f16: 'q4' };

function oneOf<T extends string>(value: unknown, known: readonly T[], what: string, hint?: string): T {
  if (known.includes(value as T)) return value as T;
  const near = hint ?? nearest(String(value), known);
  const remedy = near ? `did you mean '${near}'?` : `there are ${known.join(', ')}`;
  throw new TareasError('input', `There is no ${what} '${String(value)}'`, { remedy });
}

/** Everything about a load except the progress callback and the signal. */
export function clientRequest(
  definition: TaskDefinition,
  model: string | null,
  options: PipelineOptions,
): ClientRequest {
  checkOptions(options, OPTIONS, 'pipeline()', FOREIGN);
  const files = options.files ? fileMap(options.files) : null;
  const id = model ?? (files ? 'files' : DEFAULT_MODELS[definition.id]);
  if (typeof id !== 'string')
    throw new TareasError('input', "The model has to be a string such as 'owner/name'");
  if (!files) checkModelId(id);
  const wanted = options.device ?? 'auto';
  const device = oneOf(DEVICE_ALIASES[wanted] ?? wanted, DEVICES, 'device');
  const dtype = oneOf(options.dtype ?? 'auto', DTYPES, 'dtype', DTYPE_HINTS[String(options.dtype)]);
  const atUrl = !platform.isNode && !files && isPlace(id);
  return {
    params: {
      load: {
        name: id,
        task: definition.id,
        device,
        dtype,
        config: options.config ?? null,
        modelFileName: options.model_file_name ?? 'model',
        sha256: options.sha256 ?? {},
        gpu: options.gpu,
      },
      engine: engineSettings(),
    },
    source: {
      ref: {
        model: atUrl ? absoluteUrl(id) : id,
        revision: options.revision ?? 'main',
        subfolder: options.subfolder ?? '',
      },
      settings: hubSettings(options.cache_dir),
      localFilesOnly: options.local_files_only ?? false,
      files,
    },
    fetch: files ? null : env.fetch,
    customCache: !files && env.useCustomCache ? env.customCache : null,
    worker: options.worker,
    progress: options.progress_callback ?? null,
  };
}

/** `Symbol.dispose` where the engine has it, and the key that polyfills and compilers use elsewhere. */
const DISPOSE: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for('Symbol.dispose') as typeof Symbol.dispose);
const ASYNC_DISPOSE: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);

/** A few calls that take an array give an empty one for an empty one, without asking the engine. */
function isEmptyBatch(definition: TaskDefinition, { input }: Call): boolean {
  const list =
    definition.id === 'zero-shot-classification' ? (input as { sequences: unknown }).sequences : input;
  return Array.isArray(list) && list.length === 0 && definition.id !== 'feature-extraction';
}

async function callPipeline(
  client: Client,
  definition: TaskDefinition,
  args: readonly unknown[],
): Promise<unknown> {
  const call = definition.read(args);
  checkOptions(call.options, [...definition.options, ...CALL_OPTIONS], definition.id);
  const extras = definition.extras?.(call);
  const { signal, quantize: _, precision: __, ...options } = call.options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TareasError('input', 'signal has to be an AbortSignal');
  }
  if (isEmptyBatch(definition, call)) return [];
  const input = definition.prepare ? await definition.prepare(call.input, signal) : call.input;
  const transfer = definition.transfer?.(input);
  const raw = await client.run(input, options, { ...extras, signal, ...(transfer ? { transfer } : {}) });
  return definition.result ? definition.result(raw, call) : raw;
}

function callable(client: Client, definition: TaskDefinition, model: string): unknown {
  const members: PipelineMembers = {
    task: definition.id,
    model,
    info: () => ({ ...client.info, model, worker: client.inWorker, load_ms: Math.round(client.loadMs) }),
    memory: () => client.memory(),
    timings: () => client.timings(),
    counters: () => client.counters(),
    loseDevice: () => client.loseDevice(),
    dispose: () => client.dispose(),
    [DISPOSE]: () => void client.dispose(),
    [ASYNC_DISPOSE]: () => client.dispose(),
  };
  const call = (...args: unknown[]) => callPipeline(client, definition, args);
  const run: EngineRun = (input, options, signal, extras) =>
    client.run(input, options, { ...extras, signal });
  return Object.assign(call, members, definition.members?.(run, call));
}

/**
 * Loads a model for a task and returns it as a function.
 *
 * ```ts
 * const classify = await pipeline('text-classification', 'owner/name');
 * const [best] = await classify('What a day!');
 * await classify.dispose();
 * ```
 *
 * @param task a task's id or alias
 * @param model `owner/name` on the hub, a path or URL of a folder; default: the task's own
 * @throws TareasError
 */
export async function pipeline<T extends TaskName>(
  task: T,
  model?: string | null,
  options: PipelineOptions = {},
): Promise<Pipeline<T>> {
  const definition = resolveTask(task);
  const request = clientRequest(definition, model ?? null, options);
  const client = new Client(request);
  await client.load(options.signal);
  return callable(client, definition, request.params.load.name) as Pipeline<T>;
}
