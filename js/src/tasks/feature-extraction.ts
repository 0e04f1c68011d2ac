import { TareasError } from '../errors.js';
import { Tensor } from '../tensor.js';
import { asTextOrTexts, splitArgs, type WholeTextOptions, type TaskDefinition } from './common.js';

export interface FeatureExtractionOptions<Q extends boolean = boolean> extends WholeTextOptions {
  /** `none`: one vector per token; `mean`: their mean; `cls`: the first token's. Default `none`. */
  pooling?: 'none' | 'mean' | 'cls';
  /** Scale every vector to length 1. Default false. */
  normalize?: boolean;
  /** Pack the signs of pooled vectors into bits, eight to a byte. Default false. */
  quantize?: Q;
  /** Bytes as signed (`binary`) or unsigned (`ubinary`) numbers. Default `binary`. */
  precision?: 'binary' | 'ubinary';
}

/** `[B, H]` where pooled, `[B, T, H]` otherwise; signs packed into `[B, H / 8]` bytes with `quantize`. */
export type FeatureExtractionResult<Q extends boolean> = boolean extends Q
  ? Tensor | Tensor<Int8Array | Uint8Array>
  : Q extends true
    ? Tensor<Int8Array | Uint8Array>
    : Tensor;

export interface FeatureExtractionCall {
  <Q extends boolean = false>(
    texts: string | readonly string[],
    options?: FeatureExtractionOptions<Q>,
  ): Promise<FeatureExtractionResult<Q>>;
}

/** As sentence-transformers packs them: positive is 1, the first of eight is the highest bit; `binary` is `ubinary` - 128. */
export function packSigns(tensor: Tensor, precision: unknown): Tensor<Int8Array | Uint8Array> {
  const width = tensor.dims.at(-1) ?? 0;
  if (tensor.dims.length !== 2 || width % 8 !== 0) {
    throw new TareasError(
      'input',
      `Vectors of shape [${tensor.dims.join(', ')}] cannot be packed into bits`,
      {
        remedy: "use pooling 'mean' or 'cls', and a model whose width is a multiple of 8",
      },
    );
  }
  const unsigned = precision === 'ubinary';
  const packed = unsigned ? new Uint8Array(tensor.size / 8) : new Int8Array(tensor.size / 8);
  for (let index = 0; index < packed.length; index++) {
    let bits = 0;
    for (let bit = 0; bit < 8; bit++) bits = (bits << 1) | (tensor.data[index * 8 + bit]! > 0 ? 1 : 0);
    packed[index] = unsigned ? bits : bits - 128;
  }
  return new Tensor(unsigned ? 'uint8' : 'int8', packed, [tensor.dims[0]!, width / 8]);
}

export const featureExtraction: TaskDefinition = {
  id: 'feature-extraction',
  options: ['pooling', 'normalize', 'quantize', 'precision', 'truncation'],
  read(args) {
    const { inputs, options } = splitArgs(args, 1, 1);
    const { precision } = options;
    if (precision !== undefined && precision !== 'binary' && precision !== 'ubinary') {
      throw new TareasError('input', `precision '${String(precision)}' is neither 'binary' nor 'ubinary'`);
    }
    return { input: asTextOrTexts(inputs[0], 'text'), options };
  },
  result(raw, { options }) {
    const { data, dims } = raw as { data: Float32Array; dims: number[] };
    const tensor = new Tensor('float32', data, dims);
    return options['quantize'] ? packSigns(tensor, options['precision']) : tensor;
  },
};
