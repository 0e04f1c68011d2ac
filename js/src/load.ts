import type { Engine, EngineModel, GpuOptions, Device, DType, TaskId, Opened } from './engine.js';
import { TareasError, throwIfAborted, toTareasError } from './errors.js';
import type { PhaseEvent, ProgressEvent } from './events.js';
import { htmlError, type OpenFile, type Source } from './hub/source.js';
import { Sha256 } from './hub/sha256.js';
import { Progress } from './progress.js';

/** What a load needs besides the files' source; plain data. */
export interface LoadSpec {
  name: string;
  task: TaskId;
  device: Device;
  dtype: DType;
  /** In place of the repository's config.json. */
  config: Record<string, unknown> | null;
  /** Weights are `{model_file_name}.safetensors`. */
  modelFileName: string;
  /** Expected digests by file name. */
  sha256: Record<string, string>;
  gpu?: GpuOptions | undefined;
}

const MODEL = 'model';
const INDEX = '.safetensors.index.json';
/** Formats that are not safetensors, named in the error when a repository has only those. */
const OTHER_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'tf_model.h5', 'flax_model.msgpack'];
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
  private lastYield = performance.now();

  constructor(
    private readonly engine: Engine,
    private readonly source: Source,
    private readonly spec: LoadSpec,
    private readonly report: (event: ProgressEvent) => void,
    private readonly signal?: AbortSignal,
  ) {
    this.progress = new Progress(spec.name, report);
  }

  async run(): Promise<EngineModel> {
    const { task, device, dtype, gpu } = this.spec;
    const loader = new this.engine.Loader({ task, device, dtype, ...(gpu ? { gpu } : {}) });
    let handedOver = false;
    const opened: Promise<OpenFile | null>[] = [];
    const open = (file: string) => {
      const file_ = this.openFile(file);
      file_.catch(() => {});
      opened.push(file_);
      return file_;
    };
    try {
      // Everything is asked for at once; the weights' connection waits, back-pressured, until the tokenizer is read.
      const weights = open(this.weightFile(`${MODEL}.safetensors`));
      const texts = [open('tokenizer.json'), open('tokenizer_config.json'), open('special_tokens_map.json')] as const;
      loader.add_file('config.json', await this.config(open));
      await this.addTokenizer(loader, texts, open);
      let page: unknown = null;
      const single = await weights.catch((error: unknown) => {
        if (toTareasError(error).code !== 'html') throw error;
        page = error;
        return null;
      });
      // A server with a start page for everything says nothing about which weights there are.
      if (single) this.progress.expect(single.size ?? 0);
      else if (!(await this.addIndex(loader, open))) throw page ?? (await this.noWeights());
      const opening = this.phase('device', { state: 'start' });
      const info = await loader.open();
      throwIfAborted(this.signal);
      const { device: chosen, dtype: format, adapter, fallback } = info;
      opening({ device: chosen, dtype: format, adapter, fallback });
      await this.feed(loader, info, single, open);
      const model = await this.finish(loader, () => (handedOver = true));
      await this.source.settle();
      return model;
    } finally {
      if (!handedOver) loader.free();
      for (const file of opened) void file.then((found) => found?.cancel(), () => {});
    }
  }

  /** Emits the start of a phase; the returned function emits its end. */
  private phase(phase: PhaseEvent['phase'], extra: Partial<PhaseEvent>): (extra?: Partial<PhaseEvent>) => void {
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

  private async openFile(file: string): Promise<OpenFile | null> {
    this.progress.initiate(file);
    return this.source.open(file, this.signal);
  }

  /** Chunks of an opened file, with progress and, where a digest is expected, its check at the end. */
  private async *read(name: string, file: OpenFile): AsyncGenerator<Uint8Array> {
    const expected = this.spec.sha256[name]?.toLowerCase();
    const hash = expected ? new Sha256() : null;
    this.progress.begin(name, file.size);
    for await (const chunk of file.chunks()) {
      hash?.update(chunk);
      const bytes = chunk.byteLength;
      yield chunk;
      this.progress.advance(name, bytes);
      throwIfAborted(this.signal);
    }
    const actual = hash?.hex();
    if (actual !== expected) {
      await this.source.forget(name);
      throw new TareasError('integrity', `${name} has SHA-256 ${actual}, expected ${expected}`, {
        url: this.source.describe(name),
        remedy: 'the file was changed or damaged on its way; load again, or correct the pinned digest',
      });
    }
    this.progress.done(name);
  }

  private async readAll(name: string, file: OpenFile): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.read(name, file)) {
      chunks.push(chunk);
      length += chunk.byteLength;
    }
    if (chunks.length === 1) return chunks[0]!;
    const all = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      all.set(chunk, at);
      at += chunk.byteLength;
    }
    return all;
  }

  /** A text file that the server may answer with its start page. */
  private async readText(name: string, file: OpenFile): Promise<Uint8Array> {
    const bytes = await this.readAll(name, file);
    const head = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart();
    if (/^<(!doctype|html|head|\?xml)/i.test(head)) {
      await this.source.forget(name);
      throw htmlError(this.source.describe(name));
    }
    return bytes;
  }

  /** A file that may be absent: a start page in its place, or a refusal, counts as absent. */
  private async readOptional(name: string, opening: Promise<OpenFile | null>): Promise<Uint8Array | null> {
    try {
      const file = await opening;
      return file && (await this.readText(name, file));
    } catch (error) {
      const { code } = toTareasError(error);
      if (code === 'html' || code === 'unauthorized') return null;
      throw error;
    }
  }

  private async config(open: (file: string) => Promise<OpenFile | null>): Promise<Uint8Array> {
    if (this.spec.config) return new TextEncoder().encode(JSON.stringify(this.spec.config));
    const file = await open('config.json');
    if (file) return this.readText('config.json', file);
    throw this.missing('config.json', "check the model's id and revision");
  }

  private missing(what: string, remedy: string): TareasError {
    const url = this.source.describe(what);
    return new TareasError('not_found', `'${this.spec.name}' has no ${what} (looked at ${url})`, { url, remedy });
  }

  private async addTokenizer(
    loader: { add_file(name: string, bytes: Uint8Array): void },
    [json, config, specials]: readonly [Promise<OpenFile | null>, Promise<OpenFile | null>, Promise<OpenFile | null>],
    open: (file: string) => Promise<OpenFile | null>,
  ): Promise<void> {
    const tokenizer = await this.readOptional('tokenizer.json', json);
    if (tokenizer) loader.add_file('tokenizer.json', tokenizer);
    else {
      const vocab = await this.readOptional('vocab.txt', open('vocab.txt'));
      if (!vocab) throw this.missing('tokenizer.json or vocab.txt', 'the model needs one of the two');
      loader.add_file('vocab.txt', vocab);
    }
    for (const [name, opening] of [['tokenizer_config.json', config], ['special_tokens_map.json', specials]] as const) {
      const bytes = await this.readOptional(name, opening);
      if (bytes) loader.add_file(name, bytes);
    }
  }

  /** The index of a sharded checkpoint; false where there is none. */
  private async addIndex(
    loader: { add_file(name: string, bytes: Uint8Array): void },
    open: (file: string) => Promise<OpenFile | null>,
  ): Promise<boolean> {
    const name = this.spec.modelFileName + INDEX;
    const index = await this.readOptional(name, open(name));
    if (!index) return false;
    loader.add_file(MODEL + INDEX, index);
    this.progress.expect(totalSize(index));
    return true;
  }

  private async noWeights(): Promise<TareasError> {
    const single = this.weightFile(`${MODEL}.safetensors`);
    for (const other of OTHER_WEIGHTS) {
      if (!(await this.source.has(other, this.signal))) continue;
      return new TareasError('unsupported', `'${this.spec.name}' has only ${other}, no ${single}`, {
        url: this.source.describe(single),
        remedy:
          "convert it once in Python: AutoModel….from_pretrained(id).save_pretrained(folder); or try revision: 'refs/pr/1', where the hub often proposes the converted file",
      });
    }
    const index = this.spec.modelFileName + INDEX;
    return this.missing(`${single} or ${index}`, 'the weights have to be in safetensors files');
  }

  private async feed(
    loader: { begin_weights(name: string, total: number): void; push_weights(chunk: Uint8Array): void; end_weights(): void },
    info: Opened,
    single: OpenFile | null,
    open: (file: string) => Promise<OpenFile | null>,
  ): Promise<void> {
    const quantized = this.phase('quantize', { dtype: info.dtype });
    for (const file of info.files) {
      const name = this.weightFile(file);
      const handle = info.files.length === 1 && single ? single : await open(name);
      if (!handle) throw this.missing(name, `the index of the weights names it; the repository is incomplete`);
      loader.begin_weights(file, handle.size ?? 0);
      for await (const chunk of this.read(name, handle)) {
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

  private async finish(
    loader: { finish(report?: (phase: string) => void): Promise<EngineModel> },
    handOver: () => void,
  ): Promise<EngineModel> {
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
    const { metadata } = JSON.parse(new TextDecoder().decode(index)) as { metadata?: { total_size?: unknown } };
    return typeof metadata?.total_size === 'number' ? metadata.total_size : 0;
  } catch {
    return 0; // The engine reports what is wrong with the file.
  }
}
