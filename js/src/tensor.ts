/** A nested array of numbers, as deep as the tensor has dimensions. */
export type NestedArray = number | NestedArray[];

export type TensorData = Float32Array | Int8Array | Uint8Array;

/** Numbers in row-major order. */
export class Tensor<D extends TensorData = Float32Array> {
  constructor(
    readonly type: 'float32' | 'int8' | 'uint8',
    readonly data: D,
    readonly dims: readonly number[],
  ) {}

  /** Number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** The elements as nested arrays. */
  tolist(): NestedArray[] {
    const nest = (axis: number, from: number, count: number): NestedArray[] => {
      const rows = this.dims[axis] ?? 0;
      const step = rows > 0 ? count / rows : 0;
      if (axis === this.dims.length - 1) return Array.from(this.data.subarray(from, from + rows));
      return Array.from({ length: rows }, (_, row) => nest(axis + 1, from + row * step, step));
    };
    return nest(0, 0, this.size);
  }
}
