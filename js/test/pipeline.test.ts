import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  answerQuestion,
  classifyText,
  configure,
  disposeAll,
  embed,
  env,
  findEntities,
  nextSentence,
  pipeline,
  zeroShot,
  TareasError,
  type TaskName,
} from '../src/index.js';
import { fails, load, model, once, setup, sleep, type Echo, type Hub } from './helpers.js';

const MODELS = {
  'owner/name': model(),
  'owner/slow': model({ runMs: 300 }),
  'owner/slowload': model({ finishMs: 2000 }),
  'owner/loses': model({ loseDevice: 1 }),
  'owner/small': model({ gpuOutOfMemory: true }),
  'owner/smaller': model({ gpuLoadOutOfMemory: true }),
  'owner/traps': model({ trapOn: 'trap', exitOn: 'exit' }),
};

let hub: Hub;
let end: () => Promise<void>;
before(async () => ({ hub, end } = await setup(MODELS)));
after(async () => {
  await disposeAll();
  await end();
});

for (const worker of [true, false]) {
  describe(worker ? 'in a worker' : 'in this thread', () => {
    it('runs, tells about itself, and is disposed', async () => {
      const { pipe, call } = await load('owner/name', { worker });
      assert.equal(pipe.task, 'text-classification');
      assert.equal(pipe.model, 'owner/name');
      const echo = await call('hello', { top_k: null });
      assert.deepEqual(echo.input, 'hello');
      assert.deepEqual(echo.options, { top_k: null });
      const info = pipe.info();
      assert.equal(info.worker, worker);
      assert.equal(info.model_type, 'fake');
      assert.deepEqual(await pipe.memory(), { weights: 100_000, activations: 0, heap: 0 });
      assert.equal((await pipe.timings())[0]!.op, 'linear');
      await pipe.dispose();
      await pipe.dispose();
      await fails(call('again'), 'disposed');
      await fails(pipe.memory(), 'disposed');
    });

    it('keeps working after an error of the engine', async () => {
      const { pipe, call } = await load('owner/name', { worker });
      const error = await fails(call('bad'), 'input', /this input is bad \(send a good one\)$/);
      assert.ok(
        error instanceof TareasError && error.name === 'TareasError' && error.remedy === 'send a good one',
      );
      assert.equal((await call('good')).input, 'good');
      await pipe.dispose();
    });

    it('aborts calls: the running one, the queued one, and what comes with an aborted signal', async () => {
      const { pipe, call } = await load('owner/slow', { worker });
      const [first, second] = [new AbortController(), new AbortController()];
      const running = call('one', { signal: first.signal });
      const queued = call('two', { signal: second.signal });
      const last = call('three');
      await sleep(30);
      second.abort();
      const started = performance.now();
      await fails(queued, 'aborted');
      first.abort();
      const error = await fails(running, 'aborted');
      assert.equal(error.name, 'AbortError');
      assert.ok(performance.now() - started < 100);
      // The aborted one that was queued never ran.
      assert.equal((await last).run, 2);
      await fails(call('four', { signal: AbortSignal.abort() }), 'aborted');
      const late = await fails(call('five', { signal: AbortSignal.timeout(20) }), 'aborted');
      assert.equal(late.name, 'TimeoutError');
      await pipe.dispose();
    });

    it('aborts a load at once, and loads again', async () => {
      const control = new AbortController();
      const loading = load('owner/slowload', { worker, signal: control.signal });
      await sleep(150);
      const started = performance.now();
      control.abort();
      await fails(loading, 'aborted');
      assert.ok(performance.now() - started < 200);
      await fails(load('owner/name', { worker, signal: AbortSignal.abort() }), 'aborted');
      assert.equal((await once('owner/name', { worker })).echo.weights, 100_000);
    });

    it('aborts a download', async () => {
      hub.fault(/^\/cdn.*slow.*safetensors$/, { bytesPerSecond: 20_000 });
      const control = new AbortController();
      const loading = load('owner/slow', { worker, signal: control.signal, cache_dir: '/nonexistent' });
      await sleep(200);
      control.abort();
      await fails(loading, 'aborted');
      hub.reset();
    });

    it('answers questions about itself while it runs, in turn', async () => {
      const { pipe, call } = await load('owner/slow', { worker });
      const running = call('one');
      const [memory, timings, counters] = await Promise.all([pipe.memory(), pipe.timings(), pipe.counters()]);
      assert.deepEqual([memory.weights, timings.length, counters.runs], [100_000, 1, 1]);
      await running;
      await pipe.dispose();
    });

    it('rejects what runs when it is disposed', async () => {
      const { pipe, call } = await load('owner/slow', { worker });
      const calls = [call('one'), call('two')];
      await sleep(30);
      const done = pipe.dispose();
      await Promise.all(calls.map((promise) => fails(promise, 'disposed')));
      await done;
    });

    it('rebuilds the model where the device is lost, and reports it', async () => {
      const { pipe, call, events } = await load('owner/loses', { worker });
      assert.equal((await call('hello')).input, 'hello');
      await pipe.loseDevice();
      assert.equal((await call('again')).input, 'again');
      const reloads = events.filter((event) => event.status === 'phase' && event.phase === 'reload');
      assert.equal(reloads.length, 4);
      assert.ok(reloads[0]!.status === 'phase' && /device_lost/.test(reloads[0]!.reason!));
      assert.equal(pipe.info().device, 'webgpu');
      await pipe.dispose();
    });

    it('moves to the CPU where the GPU is too small, unless the GPU was demanded', async () => {
      for (const id of ['owner/small', 'owner/smaller']) {
        const { pipe, call, events } = await load(id, { worker });
        assert.equal((await call('hello')).device, 'wasm');
        assert.equal(pipe.info().device, 'wasm');
        assert.ok(
          events.some((event) => event.status === 'phase' && /out_of_memory/.test(event.reason ?? '')),
        );
        await pipe.dispose();
      }
      const { pipe, call } = await load('owner/small', { worker, device: 'webgpu' });
      await fails(call('hello'), 'out_of_memory');
      await pipe.dispose();
      await fails(load('owner/smaller', { worker, device: 'gpu' }), 'out_of_memory');
    });

    it('starts the engine anew after a trap', async () => {
      const { pipe, call } = await load('owner/traps', { worker });
      await fails(call('trap'), 'internal', /The engine stopped: unreachable/);
      assert.equal((await call('hello')).input, 'hello');
      await pipe.dispose();
    });
  });
}

describe('workers', () => {
  it('rejects what is open when the worker dies, and starts another', async () => {
    const { pipe, call } = await load('owner/traps', { worker: true });
    const [dies, waits] = [call('exit'), call('waits')];
    await fails(dies, 'worker', /crashed/);
    await fails(waits, 'worker');
    assert.equal((await call('hello')).input, 'hello');
    await pipe.dispose();
  });

  it('runs pipelines side by side', async () => {
    const [a, b] = await Promise.all([
      load('owner/slow', { worker: true }),
      load('owner/slow', { worker: true }),
    ]);
    const started = performance.now();
    await Promise.all([a.call('one'), b.call('two')]);
    assert.ok(performance.now() - started < 550);
    await Promise.all([a.pipe.dispose(), b.pipe.dispose()]);
  });

  it('falls back to this thread where the worker is not to be had, unless it was demanded', async () => {
    const { workerUrl } = env;
    env.workerUrl = new URL('./no-such-worker.mjs', import.meta.url);
    await fails(once('owner/name', { worker: true }), 'worker', /env\.workerUrl/);
    const { notices, echo } = await once('owner/name', { worker: undefined });
    assert.equal(echo.input, 'hello');
    assert.ok(notices.some((event) => event.status === 'notice' && event.code === 'worker'));
    env.workerUrl = workerUrl;
  });

  it('survives a progress callback that throws', async () => {
    const reported: unknown[] = [];
    globalThis.reportError = (error) => void reported.push(error);
    const { echo } = await once('owner/name', {
      worker: true,
      progress_callback(event) {
        if (event.status === 'ready') throw new Error('mine');
      },
    });
    assert.equal(echo.input, 'hello');
    assert.deepEqual(reported.map(String), ['Error: mine']);
  });
});

describe('input', () => {
  it('refuses what nobody would read', async () => {
    await fails(
      pipeline('sentiment-analisis' as TaskName),
      'unsupported',
      /did you mean 'sentiment-analysis'/,
    );
    await fails(
      once('owner/name', { progressCallback: 1 } as object),
      'input',
      /did you mean 'progress_callback'/,
    );
    await fails(once('owner/name', { session_options: {} } as object), 'input', /ONNX Runtime/);
    await fails(once('owner/name', { device: 'webnn' } as object), 'input', /device 'webnn'/);
    await fails(once('owner/name', { dtype: 'int8' } as object), 'input', /did you mean 'q8'/);
    const { pipe, call } = await load();
    await fails(call('x', { topk: 1 }), 'input', /did you mean 'top_k'/);
    await fails(call('x', {}, {}), 'input', /Too many arguments/);
    await fails(call('x', 'y'), 'input', /Options have to be an object/);
    await fails(call(), 'input');
    for (const bad of [1, null, undefined, ['a', 2], {}, { text: 'a' }]) await fails(call(bad), 'input');
    assert.deepEqual(await call([]), []);
    await pipe.dispose();
  });

  it('makes lone surrogates U+FFFD, everywhere', async () => {
    const { pipe, call } = await load();
    assert.deepEqual((await call(['a\ud800b', '\udc00', 'ok 😀'])).input, ['a\ufffdb', '\ufffd', 'ok 😀']);
    assert.deepEqual((await call({ text: '\ud83d', text_pair: 'x' })).input, {
      text: '\ufffd',
      text_pair: 'x',
    });
    await pipe.dispose();
  });

  it('reads every form of arguments', async () => {
    const make = async (task: TaskName) => {
      const pipe = await pipeline(task, 'owner/name', { worker: false });
      return { pipe, call: pipe as unknown as (...args: unknown[]) => Promise<Echo> };
    };
    const qa = await make('question-answering');
    const one = { question: 'q', context: 'c' };
    assert.deepEqual((await qa.call('q', 'c')).input, one);
    assert.deepEqual((await qa.call('q', 'c', { top_k: 2 })).options, { top_k: 2 });
    assert.deepEqual((await qa.call(one, { top_k: 2 })).input, one);
    assert.deepEqual((await qa.call([one, one])).input, [one, one]);
    assert.deepEqual((await qa.call(['q', 'q'], 'c')).input, [one, one]);
    assert.deepEqual((await qa.call(['q', 'q'], ['c', 'c'])).input, [one, one]);
    await fails(qa.call(['q', 'q'], ['c']), 'input', /pair up/);
    await fails(qa.call('q'), 'input');
    await fails(qa.call('q', 'c', 'd'), 'input');
    const zs = await make('zero-shot-classification');
    assert.deepEqual((await zs.call('t', ['a', 'b'], { multi_label: true })).input, {
      sequences: 't',
      candidate_labels: ['a', 'b'],
    });
    await fails(zs.call('t'), 'input');
    const nsp = await make('next-sentence-prediction');
    assert.deepEqual((await nsp.call('a', 'b')).input, { text: 'a', text_pair: 'b' });
    assert.deepEqual((await nsp.call({ text: 'a', text_pair: 'b' })).input, { text: 'a', text_pair: 'b' });
    const ner = await make('ner');
    assert.equal(ner.pipe.task, 'token-classification');
    await Promise.all([qa, zs, nsp, ner].map(({ pipe }) => pipe.dispose()));
  });

  it('gives tensors, and packs their signs', async () => {
    for (const worker of [true, false]) {
      const extract = await pipeline('embeddings', 'owner/name', { worker });
      const tensor = await extract('hello', { pooling: 'mean' });
      assert.deepEqual(tensor.dims, [1, 8]);
      assert.deepEqual(tensor.tolist(), [[1, -1, 1, 0, 2, 3, -4, 5]]);
      const bits = await extract('hello', { pooling: 'mean', quantize: true, precision: 'ubinary' });
      assert.deepEqual([...bits.data], [0b10101101]);
      const signed = await extract('hello', { pooling: 'mean', quantize: true });
      assert.deepEqual([...signed.data], [0b10101101 - 128]);
      await extract.dispose();
    }
  });
});

describe('plain functions', () => {
  it('load once, share the pipeline, and are configured', async () => {
    for (const task of ['text-classification', 'ner', 'question-answering', 'feature-extraction'] as const) {
      configure(task, { model: 'owner/name', worker: false });
    }
    configure('zero-shot-classification', { model: 'owner/name', worker: false });
    const [a, b] = (await Promise.all([classifyText('one'), classifyText('two')])) as unknown as Echo[];
    assert.deepEqual([a!.input, b!.input, b!.run], ['one', 'two', 2]);
    const other = (await classifyText('x', { dtype: 'q4', top_k: 3 })) as unknown as Echo;
    assert.deepEqual([other.run, other.options], [1, { top_k: 3 }]);
    assert.equal(((await findEntities('x')) as unknown as Echo).options['aggregation_strategy'], 'simple');
    assert.equal(
      ((await findEntities('x', { aggregation_strategy: 'none' })) as unknown as Echo).options[
        'aggregation_strategy'
      ],
      'none',
    );
    assert.deepEqual(((await answerQuestion('q', 'c')) as unknown as Echo).input, {
      question: 'q',
      context: 'c',
    });
    assert.deepEqual(((await zeroShot('q', ['c'])) as unknown as Echo).input, {
      sequences: 'q',
      candidate_labels: ['c'],
    });
    assert.deepEqual((await embed(['x'])).dims, [1, 8]);
    const nsp = (await nextSentence('a', 'b', { model: 'owner/name' })) as unknown as Echo;
    assert.deepEqual(nsp.input, { text: 'a', text_pair: 'b' });
    await fails(classifyText('x', { topk: 1 } as object), 'input', /topk/);
  });

  it('stop loading when nobody waits, and only then', async () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const options = { model: 'owner/slowload', worker: true } as const;
    const first = classifyText('x', { ...options, signal: one.signal });
    const second = classifyText('x', { ...options, signal: two.signal });
    await sleep(100);
    one.abort();
    await fails(first, 'aborted');
    await second;
    const third = classifyText('x', { ...options, dtype: 'q8', signal: AbortSignal.timeout(50) });
    await fails(third, 'aborted');
    await disposeAll('text-classification');
  });

  it('try again after a failed load', async () => {
    await fails(classifyText('x', { model: 'owner/nowhere', worker: false }), 'unauthorized');
    hub.models['owner/nowhere'] = model();
    await classifyText('x', { model: 'owner/nowhere', worker: false });
  });
});
