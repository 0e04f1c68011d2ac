/**
 * A stand-in for the package, for work on the page alone (`node build.mjs --mock`). It answers with
 * plausible nonsense after plausible delays; it is no part of the built site.
 */
import type * as Real from '../src/engine/contract.js';

export const env: Real.Env = {
  localModelPath: '/models/',
  allowLocalModels: false,
  allowRemoteModels: true,
  remoteHost: 'https://huggingface.co/',
};

export const VERSION = '0.0.0-mock';

export class TareasError extends Error {
  override name = 'TareasError';
  constructor(
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(`${message} (${remedy})`);
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function check(signal?: AbortSignal) {
  if (signal?.aborted) {
    const error = new TareasError('aborted', 'The operation was aborted', 'call again');
    error.name = 'AbortError';
    throw error;
  }
}

export async function pipeline<T extends Real.TaskId>(
  task: T,
  model?: string,
  options: Real.PipelineOptions = {},
): Promise<Real.Pipeline<T>> {
  const report = (event: Real.ProgressEvent) => options.progress_callback?.(event);
  const name = model ?? 'files';
  if (name.includes('missing')) {
    await sleep(80);
    throw new TareasError('not_found', `There is no model '${name}' at huggingface.co`, 'check the spelling of owner/name');
  }
  const total = name.includes('rampart') || name.includes('MiniLM') ? 22_000_000 : 268_000_000;
  report({ status: 'phase', name, phase: 'engine', state: 'start' });
  await sleep(60);
  report({ status: 'phase', name, phase: 'engine', state: 'done', ms: 60 });
  const steps = total > 1e8 ? 24 : 5;
  for (let step = 0; step <= steps; step++) {
    check(options.signal);
    const loaded = Math.round((total * step) / steps);
    const files = { 'config.json': { loaded: 640, total: 640 }, 'model.safetensors': { loaded, total } };
    report({ status: 'progress_total', name, progress: (100 * loaded) / total, loaded, total, files });
    await sleep(60);
  }
  for (const phase of ['device', 'compile', 'warmup'] as const) {
    report({ status: 'phase', name, phase, state: 'start' });
    await sleep(60);
    report({ status: 'phase', name, phase, state: 'done', ms: 60 });
  }
  const call = async (...args: unknown[]) => {
    await sleep(25);
    check((args.at(-1) as Real.CallOptions).signal);
    return answer(task, args[0], args[1]);
  };
  return Object.assign(call, {
    task,
    info: () => ({
      task,
      model_type: 'bert',
      architecture: 'BertModel',
      device: options.device === 'webgpu' ? ('webgpu' as const) : ('wasm' as const),
      dtype: options.dtype === 'auto' || !options.dtype ? 'q8' : options.dtype,
      fallback: options.device === 'auto' ? 'no WebGPU adapter was found' : null,
      adapter: null,
      labels: ['O', 'B-GIVEN_NAME', 'B-SURNAME', 'B-EMAIL', 'B-PHONE', 'B-CITY'],
    }),
    memory: async () => ({ weights: total, activations: 3_200_000, heap: total + 9_000_000 }),
    timings: async () => [
      { op: 'linear', ms: 8.1, calls: 37 },
      { op: 'attention', ms: 1.9, calls: 6 },
      { op: 'add_norm', ms: 0.4, calls: 12 },
    ],
    dispose: async () => undefined,
  }) as unknown as Real.Pipeline<T>;
}

function answer(task: string, input: unknown, second: unknown): unknown {
  switch (task) {
    case 'token-classification':
      return entities(String(input));
    case 'feature-extraction':
      return embeddings(input as string[]);
    case 'text-classification':
      return [
        { label: 'POSITIVE', score: 0.9987 },
        { label: 'NEGATIVE', score: 0.0013 },
      ];
    case 'zero-shot-classification':
      return zeroShot(String(input), second as string[]);
    case 'question-answering': {
      const context = String(second);
      return [...context.matchAll(/\b[A-Z]\w+/g)].slice(0, 3).map((match, rank) => ({
        answer: match[0],
        score: 0.9 / 2 ** rank,
        start: match.index,
        end: match.index + match[0].length,
      }));
    }
    case 'fill-mask':
      return ['paris', 'lyon', 'nice', 'lille'].map((token, rank) => ({
        score: 0.6 / 2 ** rank,
        token: rank,
        token_str: token,
        sequence: String(input).replace('[MASK]', token),
      }));
    default:
      return [
        { label: 'is_next', score: 0.98 },
        { label: 'not_next', score: 0.02 },
      ];
  }
}

function entities(text: string): Real.EntityGroup[] {
  const kinds: [RegExp, string][] = [
    [/\b[\w.]+@[\w.]+\w/g, 'EMAIL'],
    [/\b\d{3}[- ]\d{3,4}[- ]?\d*/g, 'PHONE'],
    [/\b(Maria|Tom|Anna)\b/g, 'GIVEN_NAME'],
    [/\b(Lopez|Baker)\b/g, 'SURNAME'],
    [/\b(Denver|Portland)\b/g, 'CITY'],
  ];
  return kinds
    .flatMap(([pattern, entity_group]) =>
      [...text.matchAll(pattern)].map((match) => ({
        entity_group,
        score: 0.97,
        word: match[0].toLowerCase(),
        start: match.index,
        end: match.index + match[0].length,
      })),
    )
    .sort((a, b) => a.start - b.start);
}

/** Letter-pair counts: near texts get near vectors. */
function embeddings(texts: string[]): Real.TensorLike {
  const size = 64;
  const data = new Float32Array(texts.length * size);
  texts.forEach((text, row) => {
    const line = data.subarray(row * size, (row + 1) * size);
    for (let i = 0; i + 2 < text.length; i++) {
      const slot = (text.charCodeAt(i) * 31 + text.charCodeAt(i + 1) * 7 + text.charCodeAt(i + 2)) % size;
      line[slot] = (line[slot] ?? 0) + 1;
    }
    const norm = Math.hypot(...line) || 1;
    line.forEach((value, i) => (line[i] = value / norm));
  });
  return { dims: [texts.length, size], type: 'float32', data };
}

function zeroShot(sequence: string, labels: string[]) {
  const weights = labels.map((label) => 1 / (1 + label.length));
  const sum = weights.reduce((a, b) => a + b, 0);
  const ranked = labels.map((label, i) => ({ label, score: weights[i]! / sum })).sort((a, b) => b.score - a.score);
  return { sequence, labels: ranked.map((r) => r.label), scores: ranked.map((r) => r.score) };
}
