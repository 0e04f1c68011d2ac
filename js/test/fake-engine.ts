/**
 * An engine that does no arithmetic: it checks how it is called, and misbehaves where the model's
 * config.json tells it to (`fake: {…}`).
 */
import type {
  Counters,
  Engine,
  EngineInfo,
  EngineHost,
  EngineLoader,
  EngineModel,
  LoaderOptions,
  MemoryReport,
  OpTiming,
  Opened,
} from '../src/engine.js';

/** What the fake is asked to do wrong. */
export interface FakeConfig {
  /** Milliseconds of every run. */
  runMs?: number;
  /** The first so many runs of the first model lose the device. */
  loseDevice?: number;
  /** Runs on the GPU run out of memory. */
  gpuOutOfMemory?: boolean;
  /** Loads on the GPU run out of memory. */
  gpuLoadOutOfMemory?: boolean;
  /** A run with this text traps, as a panic in wasm does. */
  trapOn?: string;
  /** A run with this text ends the worker's process. */
  exitOn?: string;
  finishMs?: number;
}

function engineError(code: string, message: string, remedy = ''): Error {
  return Object.assign(new Error(message), { name: 'TareasError', code, remedy });
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Models that are not freed, and loaders; a test asks for it through `counters().buffers`. */
let alive = 0;
let losses = 0;

class FakeModel implements EngineModel {
  private aborted = false;
  private lost = false;
  private running = false;
  private runs = 0;

  constructor(
    private readonly options: LoaderOptions,
    private readonly config: FakeConfig,
    private readonly device: 'webgpu' | 'wasm',
    private readonly weights: number,
    private readonly files: string[],
  ) {
    alive++;
  }

  async run(input: unknown, options: unknown, host: EngineHost): Promise<unknown> {
    this.borrow();
    this.running = true;
    try {
      this.aborted = false;
      this.runs++;
      const { config } = this;
      if (input === config.trapOn) throw new WebAssembly.RuntimeError('unreachable');
      if (input === config.exitOn) process.exit(7);
      if (this.lost || losses < (config.loseDevice ?? 0)) {
        losses++;
        throw engineError('device_lost', 'the GPU device was lost');
      }
      if (config.gpuOutOfMemory && this.device === 'webgpu')
        throw engineError('out_of_memory', 'the GPU is full');
      if (input === 'bad') throw engineError('input', 'this input is bad', 'send a good one');
      for (let waited = 0; waited < (config.runMs ?? 0); waited += 5) {
        await sleep(5);
        if (this.aborted) throw engineError('aborted', 'aborted');
      }
      if (this.options.task === 'text-generation')
        return await this.write(String(input), options as Record<string, unknown>, host);
      if (this.options.task === 'feature-extraction') {
        return { dims: [1, 8], type: 'float32', data: Float32Array.of(1, -1, 1, 0, 2, 3, -4, 5) };
      }
      return {
        input,
        options,
        device: this.device,
        weights: this.weights,
        files: this.files,
        run: this.runs,
      };
    } finally {
      this.running = false;
    }
  }

  /** Writes eight words, each the best of three by scores that a processor may change. */
  private async write(prompt: string, options: Record<string, unknown>, host: EngineHost): Promise<unknown> {
    const words = [' a', ' b', ' c'];
    const ids = [9];
    let text = '';
    while (ids.length < 9) {
      await sleep(2);
      if (this.aborted) throw engineError('aborted', 'aborted');
      let scores = Float32Array.of(0, ids.length % 2, 0.5);
      if (options['logits_processor'])
        scores = (await host.ask({
          ask: 'logits_processor',
          ids: [ids],
          scores,
        })) as Float32Array<ArrayBuffer>;
      const id = scores.indexOf(Math.max(...scores));
      ids.push(id);
      text += words[id];
      if (options['stream']) {
        host.piece({ prompt: 0, sequence: 0, text: words[id], token: { id, text: words[id] } });
      }
      if (options['stopping_criteria']) {
        const [stop] = (await host.ask({ ask: 'stopping_criteria', ids: [ids] })) as boolean[];
        if (stop) break;
      }
    }
    if (options['stream']) host.piece({ prompt: 0, sequence: 0, text: '', done: true });
    return [{ generated_text: prompt + text }];
  }

  info(): EngineInfo {
    this.borrow();
    return {
      task: this.options.task,
      model_type: 'fake',
      architecture: 'FakeModel',
      device: this.device,
      dtype: this.options.dtype,
      fallback: null,
      adapter: null,
      labels: ['A', 'B'],
    };
  }

  memory(): MemoryReport {
    this.borrow();
    return { weights: this.weights, activations: 0, heap: 0 };
  }

  timings(): OpTiming[] {
    this.borrow();
    return [{ op: 'linear', ms: 1, calls: 2 }];
  }

  counters(): Counters {
    this.borrow();
    const { runs } = this;
    return {
      runs,
      plans: 0,
      pipelines: 0,
      bind_groups: 0,
      buffers: alive,
      dispatches: 0,
      submits: 0,
      read_backs: 0,
    };
  }

  abort_handle(): { abort(): void; free(): void } {
    this.borrow();
    return { abort: () => void (this.aborted = true), free: () => {} };
  }

  /** As wasm-bindgen: a run has the object to itself. */
  private borrow(): void {
    if (this.running)
      throw new Error('recursive use of an object detected which would lead to unsafe aliasing in rust');
  }

  lose_device(): void {
    this.borrow();
    this.lost = true;
  }

  free(): void {
    this.borrow();
    alive--;
  }
}

class FakeLoader implements EngineLoader {
  private readonly files = new Map<string, Uint8Array>();
  private config: FakeConfig = {};
  private device: 'webgpu' | 'wasm' = 'webgpu';
  private expected = 0;
  private got = 0;
  private total = 0;
  private done = false;
  private readonly order: string[] = [];

  constructor(private readonly options: LoaderOptions) {
    if (options.device !== 'auto') this.device = options.device;
  }

  add_file(name: string, bytes: Uint8Array): void {
    this.files.set(name, bytes);
  }

  async open(): Promise<Opened> {
    const text = (name: string) => new TextDecoder().decode(this.files.get(name));
    try {
      this.config = (JSON.parse(text('config.json')) as { fake?: FakeConfig }).fake ?? {};
    } catch {
      throw engineError('config', 'config.json is not JSON', 'check the file');
    }
    if (!this.files.has('tokenizer.json') && !this.files.has('vocab.txt'))
      throw engineError('tokenizer', 'no tokenizer');
    const index = 'model.safetensors.index.json';
    const files = this.files.has(index)
      ? [
          ...new Set(
            Object.values((JSON.parse(text(index)) as { weight_map: Record<string, string> }).weight_map),
          ),
        ].sort()
      : ['model.safetensors'];
    const { device } = this;
    return {
      model_type: 'fake',
      architecture: 'FakeModel',
      device,
      dtype: this.options.dtype,
      fallback: null,
      adapter: null,
      files,
    };
  }

  begin_weights(name: string, bytesTotal: number): void {
    this.order.push(name);
    this.expected = bytesTotal;
    this.got = 0;
  }

  push_weights(chunk: Uint8Array): void {
    // Weights of the tests are a counter: every byte says where it belongs.
    for (let at = 0; at < chunk.byteLength; at += 997) {
      if (chunk[at] !== (this.got + at) % 251)
        throw engineError('checkpoint', `byte ${this.got + at} is out of place`);
    }
    this.got += chunk.byteLength;
    this.total += chunk.byteLength;
    if (this.config.gpuLoadOutOfMemory && this.device === 'webgpu')
      throw engineError('out_of_memory', 'the GPU is full');
  }

  end_weights(): void {
    if (this.expected > 0 && this.got !== this.expected) {
      throw engineError('checkpoint', `${this.got} bytes of ${this.expected}`);
    }
  }

  async finish(report?: (phase: string) => void): Promise<EngineModel> {
    this.done = true;
    await sleep(this.config.finishMs ?? 0);
    report?.('warmup');
    return new FakeModel(this.options, this.config, this.device, this.total, [
      ...this.files.keys(),
      ...this.order,
    ]);
  }

  free(): void {
    if (this.done) throw new Error('null pointer passed to rust');
  }
}

class FakeQuantizer {
  add_file(): void {}
  open(): void {}
  begin_weights(): void {}
  push_weights(): void {}
  end_weights(): void {}
  finish(): void {}
  free(): void {}
}

export const fakeEngine: Engine = {
  Loader: FakeLoader,
  Quantizer: FakeQuantizer,
  version: () => '0.0.0',
  relaxed: () => false,
};
