/** What the page uses of the package. */

export type Device = 'auto' | 'webgpu' | 'wasm';
export type Dtype = 'auto' | 'fp32' | 'fp16' | 'q8' | 'q4';

export type ProgressEvent =
  | { status: 'initiate' | 'download' | 'done'; name: string; file: string }
  | { status: 'progress'; name: string; file: string; progress: number; loaded: number; total: number }
  | {
      status: 'progress_total';
      name: string;
      progress: number;
      loaded: number;
      total: number;
      files: Record<string, { loaded: number; total: number }>;
    }
  | { status: 'ready'; task: string; model: string }
  | {
      status: 'phase';
      name: string;
      phase: 'engine' | 'device' | 'quantize' | 'compile' | 'warmup' | 'reload';
      state: 'start' | 'done';
      ms?: number;
      fallback?: string | null;
      reason?: string;
    }
  | { status: 'notice'; name: string; code: string; message: string };

export interface PipelineOptions {
  device?: Device;
  dtype?: Dtype;
  progress_callback?: (event: ProgressEvent) => void;
  signal?: AbortSignal;
  files?: ReadonlyMap<string, Blob>;
}

export interface Info {
  task: string;
  model_type: string;
  architecture: string;
  device: 'webgpu' | 'wasm';
  dtype: string;
  fallback: string | null;
  adapter: string | null;
  labels: string[];
}

export interface Memory {
  weights: number;
  activations: number;
  heap: number;
}

export interface OpTiming {
  op: string;
  ms: number;
  calls: number;
}

export interface CallOptions {
  signal?: AbortSignal;
  profile?: boolean;
}

export interface TaskCalls {
  'token-classification': (text: string, options?: CallOptions & { aggregation_strategy: 'simple' }) => Promise<EntityGroup[]>;
  'feature-extraction': (
    texts: readonly string[],
    options?: CallOptions & { pooling: 'mean' | 'cls'; normalize: boolean },
  ) => Promise<TensorLike>;
  'text-classification': (text: string, options?: CallOptions & { top_k: number | null }) => Promise<LabelScore[]>;
  'zero-shot-classification': (
    text: string,
    labels: readonly string[],
    options?: CallOptions & { hypothesis_template: string; multi_label: boolean },
  ) => Promise<ZeroShotResult>;
  'question-answering': (
    question: string,
    context: string,
    options?: CallOptions & { top_k: number; handle_impossible_answer: boolean },
  ) => Promise<Answer | Answer[]>;
  'fill-mask': (text: string, options?: CallOptions & { top_k: number }) => Promise<MaskCandidate[] | MaskCandidate[][]>;
  'next-sentence-prediction': (text: string, text_pair: string, options?: CallOptions) => Promise<LabelScore[]>;
}

export type TaskId = keyof TaskCalls;

export type Pipeline<T extends TaskId = TaskId> = TaskCalls[T] & {
  info(): Info | Promise<Info>;
  memory(): Memory | Promise<Memory>;
  timings(): OpTiming[] | Promise<OpTiming[]>;
  dispose(): Promise<void>;
};

export interface Env {
  localModelPath: string;
  allowLocalModels: boolean;
  allowRemoteModels: boolean;
  remoteHost: string;
}

export interface LabelScore {
  label: string;
  score: number;
}

export interface EntityGroup {
  entity_group: string;
  score: number;
  word: string;
  start: number;
  end: number;
}

export interface Answer {
  answer: string;
  score: number;
  start: number;
  end: number;
}

export interface MaskCandidate {
  score: number;
  token: number;
  token_str: string;
  sequence: string;
}

export interface ZeroShotResult {
  sequence: string;
  labels: string[];
  scores: number[];
}

export interface TensorLike {
  dims: number[];
  type: 'float32';
  data: Float32Array;
}
