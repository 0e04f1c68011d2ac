import type { Run } from './panel.js';

/** Lines per call: long pastes show progress and can be cancelled between calls. */
const BATCH = 16;

/** Sentence vectors of length 1, each computed once. */
export class Embedder {
  private readonly known = new Map<string, Float32Array>();

  async embed(run: Run<'feature-extraction'>, texts: string[]): Promise<Float32Array[]> {
    const missing = texts.filter((text) => !this.known.has(text));
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH);
      const tensor = await run(
        (pipe, options) => pipe(batch, { pooling: 'mean', normalize: true, truncation: true, ...options }),
        batch.length,
      );
      const width = tensor.dims.at(-1) ?? 0;
      batch.forEach((text, row) => this.known.set(text, tensor.data.slice(row * width, (row + 1) * width)));
    }
    return texts.map((text) => this.known.get(text)!);
  }

  vector(text: string): Float32Array | undefined {
    return this.known.get(text);
  }

  /** Half-typed queries and edited lines are not worth keeping. */
  keepOnly(texts: string[]): void {
    const wanted = new Set(texts);
    for (const text of this.known.keys()) {
      if (!wanted.has(text)) this.known.delete(text);
    }
  }

  clear(): void {
    this.known.clear();
  }
}

/** Both are of length 1: their dot product is the cosine. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
