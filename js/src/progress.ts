import type { ProgressEvent } from './events.js';

/** Progress of a file is reported at most this often, and when it ends. */
const INTERVAL_MS = 50;

interface FileState {
  loaded: number;
  total: number;
  reported: number;
}

/** Turns bytes into transformers.js's progress events. */
export class Progress {
  private readonly files = new Map<string, FileState>();
  /** Bytes of the whole model; null until the weights' sizes are known, as a total of the small files would run back. */
  private expected: number | null = null;

  constructor(
    private readonly name: string,
    private readonly report: (event: ProgressEvent) => void,
  ) {}

  /** At least so many bytes of weights are to come. */
  expect(weights: number): void {
    let small = 0;
    for (const { total } of this.files.values()) small += total;
    this.expected = small + weights;
  }

  initiate(file: string): void {
    this.report({ status: 'initiate', name: this.name, file });
  }

  begin(file: string, size: number | null): void {
    this.files.set(file, { loaded: 0, total: size ?? 0, reported: -Infinity });
    this.report({ status: 'download', name: this.name, file });
  }

  advance(file: string, bytes: number): void {
    const state = this.files.get(file);
    if (!state) return;
    state.loaded += bytes;
    if (performance.now() - state.reported >= INTERVAL_MS) this.emit(file, state);
  }

  done(file: string): void {
    const state = this.files.get(file);
    if (!state) return;
    state.total = state.loaded;
    this.emit(file, state);
    this.report({ status: 'done', name: this.name, file });
  }

  private emit(file: string, state: FileState): void {
    const { name } = this;
    state.reported = performance.now();
    const { loaded, total } = state;
    this.report({ status: 'progress', name, file, progress: percent(loaded, total), loaded, total });
    if (this.expected === null) return;
    const files: Record<string, { loaded: number; total: number }> = {};
    let [sumLoaded, sumTotal] = [0, 0];
    for (const [key, value] of this.files) {
      files[key] = { loaded: value.loaded, total: value.total };
      sumLoaded += value.loaded;
      sumTotal += value.total;
    }
    sumTotal = Math.max(sumTotal, sumLoaded, this.expected);
    this.report({
      status: 'progress_total',
      name,
      progress: percent(sumLoaded, sumTotal),
      loaded: sumLoaded,
      total: sumTotal,
      files,
    });
  }
}

function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, (part / whole) * 100) : 0;
}
