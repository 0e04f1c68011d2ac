import type { ErrorCode } from './errors.js';

/** A file is about to be looked up. */
export interface InitiateEvent {
  status: 'initiate';
  /** The model's id. */
  name: string;
  file: string;
}

/** A file was found and its bytes begin to arrive (from the network, the cache or a disk). */
export interface DownloadEvent {
  status: 'download';
  name: string;
  file: string;
}

export interface FileProgressEvent {
  status: 'progress';
  name: string;
  file: string;
  /** 0 to 100. */
  progress: number;
  /** Bytes. */
  loaded: number;
  /** Bytes; 0 where the server did not say. */
  total: number;
}

/** All files of the model together. */
export interface TotalProgressEvent {
  status: 'progress_total';
  name: string;
  progress: number;
  loaded: number;
  total: number;
  files: Record<string, { loaded: number; total: number }>;
}

export interface DoneEvent {
  status: 'done';
  name: string;
  file: string;
}

export interface ReadyEvent {
  status: 'ready';
  task: string;
  model: string;
}

/**
 * What happens besides downloads: the engine starts, a device is chosen, weights are quantized as
 * they arrive, kernels are compiled, one warm-up call runs.
 */
export interface PhaseEvent {
  status: 'phase';
  name: string;
  phase: 'engine' | 'device' | 'quantize' | 'compile' | 'warmup' | 'reload';
  state: 'start' | 'done';
  /** Milliseconds; with `state: 'done'`. */
  ms?: number;
  /** Phase `device`: what was chosen, and why the GPU was not. */
  device?: 'webgpu' | 'wasm';
  dtype?: string;
  adapter?: string | null;
  fallback?: string | null;
  /** Phase `reload`: what made it necessary. */
  reason?: string;
}

/** Something that is no failure but that the owner of the page may want to know: nothing is written to the console. */
export interface NoticeEvent {
  status: 'notice';
  name: string;
  code: ErrorCode;
  message: string;
}

/** The first seven are shaped as transformers.js's. */
export type ProgressEvent =
  | InitiateEvent
  | DownloadEvent
  | FileProgressEvent
  | TotalProgressEvent
  | DoneEvent
  | ReadyEvent
  | PhaseEvent
  | NoticeEvent;

export type ProgressCallback = (event: ProgressEvent) => void;
