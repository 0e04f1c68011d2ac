/** The built package in Node: loading, recovery, memory, the command line, processes that end. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { GOLDENS } from '../goldens.mjs';
import { goldenHub, PACKAGE, tareas } from './support.mjs';

const { pipeline, cache, TareasError } = tareas;
const CPU = { device: 'wasm' };
const temp = () => mkdtempSync(join(tmpdir(), 'tareas-test-'));
const cli = (...args) =>
  spawnSync(process.execPath, [join(PACKAGE, 'cli.js'), ...args], { encoding: 'utf8' });

function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, index) => sum + value * y[index], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe('package', () => {
  let hub;
  before(async () => (hub = await goldenHub()));
  after(() => hub.close());
  beforeEach(async () => {
    hub.reset();
    await cache.clear();
  });

  for (const worker of [true, false]) {
    it(`loads, runs and is disposed ${worker ? 'in a worker' : 'in this thread'}`, async () => {
      const pipe = await pipeline('ner', 'goldens/bert-tokcls', { ...CPU, worker, dtype: 'fp32' });
      const text = 'Maria lives in Paris';
      const [one, many] = [await pipe(text), await pipe([text, text])];
      assert.deepEqual(many, [one, one]);
      for (const { word, start, end } of one)
        assert.equal(text.slice(start, end).length > 0, word.length > 0);
      const info = pipe.info();
      assert.deepEqual([info.device, info.dtype, info.worker], ['wasm', 'fp32', worker]);
      await pipe(text, { profile: true });
      assert.ok((await pipe.timings()).length > 3);
      assert.ok((await pipe.memory()).weights > 0);
      assert.equal((await pipe.counters()).runs >= 3, true);
      await pipe.dispose();
      await assert.rejects(pipe(text), { code: 'disposed' });
    });
  }

  it('runs on the CPU where no device is named, and says that there is no GPU where one is', async () => {
    const pipe = await pipeline('ner', 'goldens/bert-tokcls');
    const { device, fallback } = pipe.info();
    assert.deepEqual([device, /no WebGPU/.test(fallback)], ['wasm', true]);
    await pipe.dispose();
    await assert.rejects(pipeline('ner', 'goldens/bert-tokcls', { device: 'webgpu' }), { code: 'device' });
  });

  it('goes on writing from the last call where asked', async () => {
    const write = await pipeline('text-generation', join(GOLDENS, 'generation/gpt2-text'), CPU);
    const options = { max_new_tokens: 6, do_sample: false };
    const first = await write('the cat', options);
    const prompt = first[0].generated_text;
    const afresh = await write(prompt, options);
    const kept = { ...options, reuse_cache: true };
    assert.deepEqual([await write('the cat', kept), await write(prompt, kept)], [first, afresh]);
    await write.dispose();
  });

  it('asks for exactly the files of a model, and later for none', async () => {
    const once = async () => {
      const pipe = await pipeline('feature-extraction', 'goldens/bert-sharded', CPU);
      const { data } = await pipe('hello', { pooling: 'mean' });
      await pipe.dispose();
      return data;
    };
    const first = await once();
    const asked = [...new Set(hub.asked(/./).map(({ path }) => path.split('/').at(-1)))].sort();
    const weights = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const names = [
      'config.json',
      'model.safetensors',
      'model.safetensors.index.json',
      'special_tokens_map.json',
    ];
    assert.deepEqual(asked, [...weights, ...names, 'tokenizer.json', 'tokenizer_config.json'].sort());
    hub.reset();
    assert.deepEqual(await once(), first);
    assert.equal(hub.requests.length, 0);
  });

  it('gives the same from a hub that misbehaves, a folder, and files in hand', async () => {
    const folder = join(GOLDENS, 'distilbert-encoder');
    const run = async (model, options = {}) => {
      const pipe = await pipeline('feature-extraction', model, { ...CPU, ...options });
      const { data } = await pipe(['one', 'two words'], { pooling: 'cls' });
      await pipe.dispose();
      return [...data];
    };
    hub.fault(/cdn.*safetensors$/, { resetAfter: 20_000, times: 2 });
    const fromHub = await run('goldens/distilbert-encoder');
    assert.deepEqual(await run(folder), fromHub);
    const files = new Map(
      readdirSync(folder).map((name) => [name, new Blob([readFileSync(join(folder, name))])]),
    );
    assert.deepEqual(await run(null, { files }), fromHub);
  });

  it('reports broken files as what they are, and is usable afterwards', async () => {
    const folder = temp();
    const broken = (change) => {
      cpSync(join(GOLDENS, 'bert-seqcls'), folder, { recursive: true });
      change();
      return pipeline('text-classification', folder, CPU);
    };
    const weights = readFileSync(join(GOLDENS, 'bert-seqcls', 'model.safetensors'));
    const write = (name, data) => () => writeFileSync(join(folder, name), data);
    const huge = Buffer.from(weights);
    huge.writeBigUInt64LE(1n << 60n);
    const nan = Buffer.from(weights);
    nan.writeFloatLE(NaN, nan.length - 4);
    const cases = [
      ['checkpoint', write('model.safetensors', weights.subarray(0, weights.length - 100))],
      ['checkpoint', write('model.safetensors', Buffer.alloc(4))],
      ['checkpoint', write('model.safetensors', huge)],
      ['non_finite', write('model.safetensors', nan)],
      ['config', write('config.json', '{"model_type": "bert"')],
      ['config', write('config.json', '{"model_type": "bert", "hidden_size": 1000000000000}')],
      ['unsupported', write('config.json', '{"model_type": "llama"}')],
      ['tokenizer', write('tokenizer.json', '{"version": ')],
    ];
    for (const [code, change] of cases) {
      const error = await broken(change).then(
        () => assert.fail(`no error with code ${code}`),
        (caught) => caught,
      );
      assert.ok(error instanceof TareasError, String(error));
      assert.equal(error.code, code, `${error.code}: ${error.message}`);
      assert.ok(error.message.length > 20);
    }
    const pipe = await broken(() => {});
    assert.equal((await pipe('fine')).length, 1);
    await pipe.dispose();
    rmSync(folder, { recursive: true });
  });

  it('takes empty, very long and ill-formed texts', async () => {
    const pipe = await pipeline('ner', 'goldens/bert-tokcls', CPU);
    for (const text of ['', ' ', '\ud800 lone \udfff', 'é'.repeat(1000), '😀🏽 👨‍👩‍👧'])
      assert.ok(Array.isArray(await pipe(text)));
    const long = 'Maria lives in Paris. '.repeat(4546);
    const found = await pipe(long, { aggregation_strategy: 'simple', stride: 6 }).catch((error) => error);
    assert.ok(found instanceof TareasError || Array.isArray(found));
    await pipe.dispose();
  });

  it('aborts and goes on', async () => {
    const pipe = await pipeline('feature-extraction', 'goldens/bert-encoder', CPU);
    const many = Array.from({ length: 4000 }, (_, index) => `text number ${index}`);
    const control = new AbortController();
    const running = pipe(many, { signal: control.signal, pooling: 'mean', batch_size: 8 });
    setTimeout(() => control.abort(), 20);
    await assert.rejects(running, { code: 'aborted', name: 'AbortError' });
    assert.deepEqual((await pipe('next', { pooling: 'mean' })).dims.length, 2);
    await pipe.dispose();
  });

  it('quantizes on the command line, to a pack that loads like any checkpoint', async () => {
    const source = join(GOLDENS, 'bert-sharded');
    for (const [dtype, least] of [
      ['q8', 0.99],
      ['q4', 0.9],
      ['fp16', 0.9999],
    ]) {
      const out = join(temp(), 'pack');
      const { status, stderr } = cli('quantize', source, '--dtype', dtype, '--out', out);
      assert.equal(status, 0, stderr);
      assert.match(stderr, /MB ->/);
      assert.ok(
        readdirSync(out).includes('tokenizer.json') &&
          !readdirSync(out).includes('model.safetensors.index.json'),
      );
      const run = async (model, options) => {
        const pipe = await pipeline('feature-extraction', model, { ...CPU, ...options });
        const { data } = await pipe('the quick brown fox', { pooling: 'mean' });
        const info = pipe.info();
        await pipe.dispose();
        return { data, info };
      };
      const exact = await run(source, { dtype: 'fp32' });
      const packed = await run(out, {});
      assert.ok(cosine(packed.data, exact.data) >= least, `${dtype}: ${cosine(packed.data, exact.data)}`);
      if (dtype !== 'fp16') assert.equal(packed.info.dtype, dtype);
      const again = cli('quantize', source, '--dtype', dtype, '--out', out);
      assert.equal(again.status, 1);
      assert.match(again.stderr, /not empty .*--force/);
      assert.equal(cli('quantize', source, '--dtype', dtype, '--out', out, '--force').status, 0);
      assert.ok(statSync(join(out, 'model.safetensors')).size > 0);
    }
  });

  it('says why a pack could not be written', { skip: process.platform !== 'linux' }, () => {
    // Every write to /dev/full fails as on a full disk.
    const out = temp();
    symlinkSync('/dev/full', join(out, 'model.safetensors.part'));
    const source = join(GOLDENS, 'bert-encoder');
    const { status, stderr } = cli('quantize', source, '--dtype', 'q8', '--out', out, '--force');
    assert.equal(status, 1);
    assert.match(stderr, /ENOSPC/);
  });

  it('explains itself on the command line', () => {
    assert.match(cli('--help').stdout, /tareas quantize DIR/);
    assert.equal(cli('--version').stdout.trim(), tareas.env.version);
    assert.match(cli('quantise', 'x').stderr, /did you mean 'quantize'/);
    assert.match(cli('quantize', GOLDENS, '--dtype', 'q8', '--out', temp()).stderr, /has no config\.json/);
    assert.match(
      cli('quantize', join(GOLDENS, 'bert-nli'), '--dtype', 'q3', '--out', 'x').stderr,
      /no dtype 'q3'/,
    );
    assert.match(cli('quantize', '--what').stderr, /--help/);
  });

  it('lets the process end with an idle pipeline', () => {
    const script = `
      import { pipeline } from ${JSON.stringify(join(PACKAGE, 'node.js'))};
      const pipe = await pipeline('feature-extraction', ${JSON.stringify(join(GOLDENS, 'bert-encoder'))}, { device: 'wasm' });
      console.log((await pipe('hello', { pooling: 'mean' })).dims.join());`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.deepEqual([status, stdout.trim()], [0, '1,36'], stderr);
  });

  it('gives its memory back', async () => {
    const cycle = async () => {
      for (const worker of [true, false]) {
        const pipe = await pipeline('feature-extraction', join(GOLDENS, 'bert-encoder'), { ...CPU, worker });
        await pipe('hello');
        await pipe.dispose();
      }
    };
    const used = () => {
      globalThis.gc?.();
      return process.memoryUsage().rss;
    };
    for (let round = 0; round < 5; round++) await cycle();
    const before = used();
    for (let round = 0; round < 10; round++) await cycle();
    const grown = used() - before;
    assert.ok(grown < 60e6, `${(grown / 1e6).toFixed(0)} MB more after ten more loads`);
  });
});
