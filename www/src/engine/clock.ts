/** How many of the last runs the median is taken over. */
const WINDOW = 20;

/** The times of one loaded model. */
export class RunClock {
  loadMs: number | null = null;
  firstMs: number | null = null;
  private readonly runs: number[] = [];
  private readonly rates: number[] = [];

  loaded(ms: number): void {
    this.loadMs = ms;
    this.firstMs = null;
    this.runs.length = 0;
    this.rates.length = 0;
  }

  ran(ms: number, units?: number): void {
    this.firstMs ??= ms;
    push(this.runs, ms);
    if (units !== undefined && units > 0 && ms > 0) push(this.rates, (1000 * units) / ms);
  }

  /** Milliseconds. */
  median(): number | null {
    return median(this.runs);
  }

  /** Units per second. */
  rate(): number | null {
    return median(this.rates);
  }

  get count(): number {
    return this.runs.length;
  }
}

function push(list: number[], value: number): void {
  list.push(value);
  if (list.length > WINDOW) list.shift();
}

function median(values: number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * From the start of the page's navigation to the first answer, where a model starts by itself: with
 * one that waits for a button, the time would be the reader's and not ours.
 */
export const firstAnswer = {
  state: 'unasked' as 'unasked' | 'waiting' | 'done',
  ms: 0,
  onChange: () => {},

  expect(): void {
    this.state = 'waiting';
    this.onChange();
  },

  note(): void {
    if (this.state !== 'waiting') return;
    this.ms = performance.now();
    this.state = 'done';
    performance.mark('tareas:first-answer');
    this.onChange();
  },
};
