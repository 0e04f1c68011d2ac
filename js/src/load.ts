import type {
  Device,
  DType,
  Engine,
  EngineLoader,
  EngineModel,
  GpuOptions,
  Opened,
  TaskId,
} from './engine.js';
import { TareasError, throwIfAborted, toTareasError } from './errors.js';
import type { PhaseEvent, ProgressEvent } from './events.js';
import type { OpenFile, Source } from './hub/source.js';
import { ModelFiles, type FilesSpec } from './model-files.js';
import { Progress } from './progress.js';
import { smallFiles, type SmallFiles } from './small-files.js';

/** What a load needs besides the files' source; plain data. */
export interface LoadSpec extends FilesSpec {
  task: TaskId;
  device: Device;
  dtype: DType;
  /** In place of the repository's config.json. */
  config: Record<string, unknown> | null;
  /** Weights are `{model_file_name}.safetensors`. */
  modelFileName: string;
  gpu?: GpuOptions | undefined;
}

/** A file that has been asked for. */
interface Opening {
  name: string;
  file: Promise<OpenFile | null>;
}

interface OpenedSmall {
  required: Opening[];
  optional: Opening[];
  /** Sets of files in place of the required ones. */
  others: readonly (readonly string[])[];
}

const MODEL = 'model';
const INDEX = '.safetensors.index.json';
/** Formats that are not safetensors, named in the error when a repository has only those. */
const OTHER_WEIGHTS = [
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'tf_model.h5',
  'flax_model.msgpack',
];
/** After this long without a pause, messages (an abort) get their turn. */
const YIELD_MS = 30;
/** The engine takes weights in pieces of at most this size, so that there is a pause to be had. */
const PIECE = 1 << 20;

/** Lets the event loop take a turn; `setTimeout` would wait 4 ms and more. */
function yieldToLoop(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** One load of one model: reads its files and feeds them to the engine as they arrive. */
export class ModelLoad {
  private readonly progress: Progress;
  private readonly files: ModelFiles;
  private lastYield = performance.now();

  constructor(
    private readonly engine: Promise<Engine>,
    private readonly source: Source,
    private readonly spec: LoadSpec,
    private readonly report: (event: ProgressEvent) => void,
    private readonly signal?: AbortSignal,
  ) {
    this.progress = new Progress(spec.name, report);
    this.files = new ModelFiles(source, spec, this.progress, signal);
  }

  async run(): Promise<EngineModel> {
    const { task, device, dtype, gpu } = this.spec;
    let loader: EngineLoader | null = null;
    let handedOver = false;
    const { files } = this;
    try {
      // Everything is asked for at once; the weights' connection waits, back-pressured, until the tokenizer is read.
      const weights = files.open(this.weightFile(`${MODEL}.safetensors`));
      const small = this.openSmall(smallFiles(task));
      const config = this.spec.config ? null : files.open('config.json');
      // The engine starts while the first bytes are on their way.
      const engine = await this.engine;
      throwIfAborted(this.signal);
      loader = new engine.Loader({ task, device, dtype, ...(gpu ? { gpu } : {}) });
      loader.add_file('config.json', await this.config(config));
      await this.addSmall(loader, small);
      let page: unknown = null;
      const single = await weights.catch((error: unknown) => {
        if (toTareasError(error).code !== 'html') throw error;
        page = error;
        return null;
      });
      // A server with a start page for everything says nothing about which weights there are.
      if (single) this.progress.expect(single.size ?? 0);
      else if (!(await this.addIndex(loader))) throw page ?? (await this.noWeights());
      const opening = this.phase('device', { state: 'start' });
      const info = await loader.open();
      throwIfAborted(this.signal);
      const { device: chosen, dtype: format, adapter, fallback } = info;
      opening({ device: chosen, dtype: format, adapter, fallback });
      await this.feed(loader, info, single);
      files.checkPins();
      const model = await this.finish(loader, () => (handedOver = true));
      await this.source.settle();
      return model;
    } finally {
      if (!handedOver) loader?.free();
      files.close();
    }
  }

  /** Emits the start of a phase; the returned function emits its end. */
  private phase(
    phase: PhaseEvent['phase'],
    extra: Partial<PhaseEvent>,
  ): (extra?: Partial<PhaseEvent>) => void {
    const { name } = this.spec;
    const begun = performance.now();
    this.report({ status: 'phase', name, phase, state: 'start', ...extra });
    return (more = {}) => {
      const ms = Math.round(performance.now() - begun);
      this.report({ status: 'phase', name, phase, ms, ...more, state: 'done' });
    };
  }

  private weightFile(file: string): string {
    return file === `${MODEL}.safetensors` ? `${this.spec.modelFileName}.safetensors` : file;
  }

  private async config(opening: Promise<OpenFile | null> | null): Promise<Uint8Array> {
    if (!opening) return new TextEncoder().encode(JSON.stringify(this.spec.config));
    const file = await opening;
    if (file) return this.files.readText('config.json', file);
    throw this.files.missing('config.json', "check the model's id and revision");
  }

  /** Asks for what is likely there; other sets of files follow where the first is not complete. */
  private openSmall({ optional, oneOf: [first = [], ...others] }: SmallFiles): OpenedSmall {
    const open = (names: readonly string[]): Opening[] =>
      names.map((name) => ({ name, file: this.files.open(name) }));
    return { required: open(first), optional: open(optional), others };
  }

  private async addSmall(
    loader: Pick<EngineLoader, 'add_file'>,
    { required, optional, others }: OpenedSmall,
  ): Promise<void> {
    const sets = [required.map(({ name }) => name), ...others];
    let found = await this.readSet(required);
    for (const names of others) {
      if (found) break;
      found = await this.readSet(names.map((name) => ({ name, file: this.files.open(name) })));
    }
    if (!found) {
      const what = sets.map((names) => names.join(' with ')).join(' or ');
      throw this.files.missing(what, `the model needs one of the ${sets.length === 2 ? 'two' : sets.length}`);
    }
    for (const [name, bytes] of found) loader.add_file(name, bytes);
    for (const { name, file } of optional) {
      const bytes = await this.files.readOptional(name, file);
      if (bytes) loader.add_file(name, bytes);
    }
  }

  /** The files of a set; null where one is missing. */
  private async readSet(set: readonly Opening[]): Promise<[string, Uint8Array][] | null> {
    const found: [string, Uint8Array][] = [];
    for (const { name, file } of set) {
      const bytes = await this.files.readOptional(name, file);
      if (!bytes) return null;
      found.push([name, bytes]);
    }
    return found;
  }

  /** The index of a sharded checkpoint; false where there is none. */
  private async addIndex(loader: Pick<EngineLoader, 'add_file'>): Promise<boolean> {
    const name = this.spec.modelFileName + INDEX;
    const index = await this.files.readOptional(name, this.files.open(name));
    if (!index) return false;
    loader.add_file(MODEL + INDEX, index);
    this.progress.expect(totalSize(index));
    return true;
  }

  private async noWeights(): Promise<TareasError> {
    const single = this.weightFile(`${MODEL}.safetensors`);
    for (const other of OTHER_WEIGHTS) {
      if (!(await this.files.has(other))) continue;
      return new TareasError('unsupported', `'${this.spec.name}' has only ${other}, no ${single}`, {
        url: this.files.describe(single),
        remedy:
          "convert it once in Python: AutoModel….from_pretrained(id).save_pretrained(folder); or try revision: 'refs/pr/1', where the hub often proposes the converted file",
      });
    }
    const index = this.spec.modelFileName + INDEX;
    return this.files.missing(`${single} or ${index}`, 'the weights have to be in safetensors files');
  }

  private async feed(
    loader: Pick<EngineLoader, 'begin_weights' | 'push_weights' | 'end_weights'>,
    info: Opened,
    single: OpenFile | null,
  ): Promise<void> {
    const quantized = this.phase('quantize', { dtype: info.dtype });
    for (const file of info.files) {
      const name = this.weightFile(file);
      const handle = info.files.length === 1 && single ? single : await this.files.open(name);
      if (!handle)
        throw this.files.missing(name, `the index of the weights names it; the repository is incomplete`);
      loader.begin_weights(file, handle.size ?? 0);
      for await (const chunk of this.files.read(name, handle)) {
        for (let at = 0; at < chunk.byteLength; at += PIECE) {
          loader.push_weights(chunk.subarray(at, at + PIECE));
          await this.pause();
        }
      }
      loader.end_weights();
    }
    quantized({ dtype: info.dtype });
  }

  private async pause(): Promise<void> {
    if (performance.now() - this.lastYield < YIELD_MS) return;
    await yieldToLoop();
    this.lastYield = performance.now();
    throwIfAborted(this.signal);
  }

  private async finish(loader: Pick<EngineLoader, 'finish'>, handOver: () => void): Promise<EngineModel> {
    let done = this.phase('compile', {});
    const finishing = loader.finish((phase) => {
      if (phase !== 'warmup') return;
      done();
      done = this.phase('warmup', {});
    });
    // The engine's object is consumed by the call itself, whether it succeeds or not.
    handOver();
    const model = await finishing;
    done();
    if (this.signal?.aborted) {
      model.free();
      throwIfAborted(this.signal);
    }
    return model;
  }
}

/** `metadata.total_size` of a sharded index: bytes of all tensors. */
function totalSize(index: Uint8Array): number {
  try {
    const { metadata } = JSON.parse(new TextDecoder().decode(index)) as {
      metadata?: { total_size?: unknown };
    };
    return typeof metadata?.total_size === 'number' ? metadata.total_size : 0;
  } catch {
    return 0; // The engine reports what is wrong with the file.
  }
}
