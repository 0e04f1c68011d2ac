/**
 * What the types promise. Nothing here runs: `npm run check` compiles it, and every line marked
 * `@ts-expect-error` has to be an error.
 */
import {
  answerQuestion,
  classifyText,
  embed,
  fillMask,
  findEntities,
  pipeline,
  TareasError,
  type Answer,
  type EntityGroup,
  type FillMaskPrediction,
  type LabelScore,
  type Pipeline,
  type PipelineInfo,
  type ProgressEvent,
  type Tensor,
  type TokenEntity,
  type ZeroShotResult,
} from '../src/index.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<A>() {
  return { a: <B>(_value: B, ..._same: Same<A, B> extends true ? [] : ['these types differ', A, B]) => {} };
}

export async function tasks(): Promise<void> {
  const classify = await pipeline('sentiment-analysis');
  is<LabelScore[]>().a(await classify('x'));
  is<LabelScore[]>().a(await classify('x', { top_k: 3 }));
  is<LabelScore[]>().a(await classify({ text: 'x', text_pair: 'y' }));
  is<LabelScore[]>().a(await classify(['x']));
  is<LabelScore[]>().a(await classify(['x'], { top_k: 1 }));
  is<LabelScore[][]>().a(await classify(['x'], { top_k: 2 }));
  is<LabelScore[][]>().a(await classify(['x'], { top_k: null }));
  is<'text-classification'>().a(classify.task);
  // @ts-expect-error an option of another task
  await classify('x', { aggregation_strategy: 'simple' });
  // @ts-expect-error not a text
  await classify(1);

  const tag = await pipeline('ner', 'owner/name', { dtype: 'q8' });
  is<TokenEntity[]>().a(await tag('x'));
  is<EntityGroup[]>().a(await tag('x', { aggregation_strategy: 'simple' }));
  is<EntityGroup[][]>().a(await tag(['x'], { aggregation_strategy: 'max', stride: 16 }));
  is<TokenEntity[][]>().a(await tag(['x'], { ignore_labels: [] }));
  // @ts-expect-error no such strategy
  await tag('x', { aggregation_strategy: 'most' });

  const answer = await pipeline('question-answering');
  is<Answer>().a(await answer('q', 'c'));
  is<Answer[]>().a(await answer('q', 'c', { top_k: 3 }));
  is<Answer>().a(await answer({ question: 'q', context: 'c' }));
  is<Answer[]>().a(await answer([{ question: 'q', context: 'c' }]));
  is<Answer[]>().a(await answer(['q', 'r'], 'c'));
  // @ts-expect-error the context is missing
  await answer('q');

  const zero = await pipeline('zero-shot-classification');
  is<ZeroShotResult>().a(await zero('x', ['a', 'b'], { multi_label: true }));
  is<ZeroShotResult[]>().a(await zero(['x'], 'a'));

  const mask = await pipeline('fill-mask');
  is<FillMaskPrediction[]>().a(await mask('a [MASK] b'));
  is<FillMaskPrediction[][]>().a(await mask('a [MASK] b [MASK]'));
  const text: string = String(1);
  is<FillMaskPrediction[] | FillMaskPrediction[][]>().a(await mask(text));

  const extract = await pipeline('feature-extraction');
  is<Tensor>().a(await extract(['x'], { pooling: 'mean' }));
  is<Tensor<Int8Array | Uint8Array>>().a(await extract('x', { pooling: 'mean', quantize: true }));

  const pair = await pipeline('next-sentence-prediction');
  const [first] = await pair('a', 'b');
  is<'is_next' | 'not_next' | undefined>().a(first?.label);
}

export async function functions(): Promise<void> {
  is<LabelScore[]>().a(await classifyText('x', { model: 'owner/name', dtype: 'q4' }));
  is<EntityGroup[]>().a(await findEntities('x'));
  is<TokenEntity[]>().a(await findEntities('x', { aggregation_strategy: 'none' }));
  is<Answer>().a(await answerQuestion('q', 'c'));
  is<FillMaskPrediction[]>().a(await fillMask('[MASK]', { targets: ['a'] }));
  is<Tensor>().a(await embed(['x']));
  // @ts-expect-error a typo
  await embed(['x'], { pool: 'mean' });
}

export async function lifetime(task: 'ner' | 'fill-mask'): Promise<void> {
  using one = await pipeline('ner');
  await using two = await pipeline(task);
  is<PipelineInfo>().a(one.info());
  const later: Pipeline<'ner'> = one;
  void later;
  void two;
  // @ts-expect-error no such task
  await pipeline('speech');
  await pipeline('ner', null, {
    signal: AbortSignal.timeout(1000),
    progress_callback(event: ProgressEvent) {
      if (event.status === 'progress') event.loaded.toFixed();
      // @ts-expect-error only of progress events
      event.loaded;
    },
    // @ts-expect-error no such device
    device: 'webnn',
  });
  try {
    await one('x');
  } catch (error) {
    // @ts-expect-error no such code
    if (error instanceof TareasError && error.code === 'nope') return;
  }
}
