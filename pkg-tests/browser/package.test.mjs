/** The packed tarball in Chromium, on the CPU and on WebGPU's software adapter: answers, recovery, cache, abort. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { caller, good, PAGE } from '../page.mjs';
import { html, openBrowser, openPage, project, serveApp } from '../support.mjs';
import { checkEmbeddings, checkEntities, realModels } from '../real.mjs';

/** One of each head; `bert-encoder` and `distilbert-tokcls` have widths that are no multiple of 32. */
const VARIANTS = [
  'bert-encoder',
  'bert-sharded',
  'bert-qa',
  'bert-mlm',
  'bert-nli',
  'distilbert-tokcls',
  'distilbert-seqcls',
];
/** A software adapter takes seconds to compile a model's kernels; the rest are covered natively. */
const ON_WEBGPU = ['bert-encoder', 'bert-qa', 'distilbert-tokcls'];

describe('package in Chromium', () => {
  let browser, hub, page, problems, url, calls;
  const load = (...args) => calls.load(...args);
  const run = (...args) => calls.run(...args);
  const drop = (name) => calls.drop(name);
  before(async () => {
    const folder = project('browser', { 'index.html': html('/main.js'), 'main.js': PAGE });
    hub = await serveApp(folder, { models: realModels });
    url = `${hub.url}index.html`;
    browser = await openBrowser();
    ({ page, problems } = await openPage(browser, url));
    calls = caller(page);
  });
  after(async () => {
    await browser?.close();
    await hub?.close();
  });
  beforeEach(async () => {
    hub.reset();
    await page.evaluate(() => tareas.cache.clear());
  });

  for (const build of ['relaxed', 'simd']) {
    it(`agrees with Python on the CPU, ${build}`, async () => {
      await calls.use(build);
      for (const variant of VARIANTS) await calls.goldens(variant, { device: 'wasm' });
      await calls.use('auto');
    });

    it(`keeps the real models' accuracy on the CPU, ${build}`, async () => {
      await calls.use(build);
      await checkEmbeddings(calls, 'wasm');
      await checkEntities(calls, 'wasm');
      await calls.use('auto');
    });
  }

  for (const variant of ON_WEBGPU) {
    it(`agrees with Python on WebGPU: ${variant}`, () => calls.goldens(variant, { device: 'webgpu' }));
  }

  it("keeps the real models' accuracy on WebGPU", async () => {
    await checkEmbeddings(calls, 'webgpu', 6);
    await checkEntities(calls, 'webgpu', 6);
  });

  it('recovers from a lost device, and says so', async () => {
    good(await load('p', 'feature-extraction', 'goldens/bert-encoder', { device: 'webgpu', dtype: 'fp32' }));
    const options = { pooling: 'mean' };
    const before = good(await run('p', 'hello', options));
    await page.evaluate(() => pipes.get('p').pipe.loseDevice());
    assert.deepEqual(good(await run('p', 'hello', options)), before);
    const reloads = await page.evaluate(() =>
      pipes.get('p').events.filter(({ phase }) => phase === 'reload'),
    );
    assert.deepEqual(
      reloads.map(({ state }) => state),
      ['start', 'done'],
    );
    assert.match(reloads[0].reason, /^device_lost/);
    await drop('p');
  });

  it('moves to the CPU where the self-test fails, unless WebGPU was demanded', async () => {
    const gpu = { corrupt_self_test: true };
    const { info } = good(await load('p', 'feature-extraction', 'goldens/bert-encoder', { gpu }));
    assert.equal(info.device, 'wasm');
    assert.ok(info.fallback.length > 10);
    await drop('p');
    const demanded = await load('p', 'feature-extraction', 'goldens/bert-encoder', { device: 'webgpu', gpu });
    assert.equal(demanded.error?.code, 'device');
  });

  it("works within WebGPU's default limits and without its options", async () => {
    const gpu = { default_limits: true };
    good(await load('p', 'feature-extraction', 'goldens/bert-encoder', { device: 'webgpu', gpu }));
    good(await run('p', ['one', 'two'], { pooling: 'cls' }));
    await drop('p');
  });

  it('keeps downloads in the Cache API, and resumes them in the next visit', async () => {
    const visit = async () => {
      const loaded = await load('p', 'feature-extraction', 'goldens/bert-sharded', { device: 'wasm' });
      await drop('p');
      return loaded;
    };
    good(await visit());
    assert.equal(await page.evaluate(() => tareas.isCached('goldens/bert-sharded')), true);
    hub.reset();
    good(await visit());
    assert.deepEqual(hub.asked(/resolve/), []);
    await page.evaluate(() => tareas.cache.clear());
    // A shard breaks off and the server is gone for a while.
    hub.fault(/cdn.*00002-of-00002/, { resetAfter: 20_000, times: 1 });
    hub.fault(/cdn.*00002-of-00002/, { status: 503 });
    await page.evaluate(() => (env.retries = 1));
    assert.equal((await visit()).error?.code, 'network');
    hub.reset();
    await page.reload();
    await page.waitForFunction(() => globalThis.ready);
    good(await visit());
    assert.deepEqual(hub.asked(/00001-of-00002/), []);
    assert.ok(hub.asked(/00002-of-00002/).length > 0);
  });

  it('goes on without a cache when the storage is full, and says so', async () => {
    const session = await page.context().newCDPSession(page);
    const { origin } = new URL(url);
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 50_000 });
    const { events } = good(
      await load('p', 'feature-extraction', 'goldens/bert-encoder', { device: 'wasm' }),
    );
    assert.ok(
      events.some(
        ({ status, code, message }) => status === 'notice' && code === 'cache' && /full/.test(message),
      ),
    );
    good(await run('p', 'hello', { pooling: 'mean' }));
    await drop('p');
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    await session.detach();
  });

  it('aborts loads and calls, and disposes during a run', async () => {
    hub.fault(/cdn.*safetensors/, { bytesPerSecond: 20_000 });
    const aborted = await page.evaluate(() => {
      const control = new AbortController();
      setTimeout(() => control.abort(), 300);
      return load('p', 'feature-extraction', 'goldens/bert-head64', { signal: control.signal });
    });
    assert.deepEqual([aborted.error.code, aborted.error.name], ['aborted', 'AbortError']);
    hub.reset();
    for (const device of ['wasm', 'webgpu']) {
      good(await load('p', 'feature-extraction', 'goldens/bert-encoder', { device }));
      const results = await page.evaluate(async () => {
        const many = Array.from({ length: 3000 }, (_, index) => 'text ' + index);
        const options = { pooling: 'mean', batch_size: 4 };
        const stopped = await call('p', many, { ...options, signal: AbortSignal.timeout(50) });
        const next = await call('p', 'hello', options);
        const running = call('p', many, options);
        await new Promise((resolve) => setTimeout(resolve, 30));
        await drop('p');
        return { stopped, next, running: await running };
      });
      assert.equal(results.stopped.error?.name, 'TimeoutError');
      good(results.next);
      assert.equal(results.running.error?.code, 'disposed');
    }
  });

  it('runs two pipelines side by side', async () => {
    good(await load('a', 'feature-extraction', 'goldens/bert-encoder', { device: 'webgpu' }));
    good(await load('b', 'ner', 'goldens/distilbert-tokcls', { device: 'wasm' }));
    const both = await page.evaluate(() =>
      Promise.all([call('a', ['x', 'y'], { pooling: 'mean' }), call('b', 'Maria lives in Paris')]),
    );
    both.forEach(good);
    await drop('a');
    await drop('b');
  });

  it('names a web page that came in place of a file, and loads files in hand', async () => {
    hub.fault(/cdn.*config\.json/, { html: true });
    const { error } = await load('p', 'ner', 'goldens/bert-tokcls', { device: 'wasm' });
    assert.equal(error.code, 'html');
    hub.reset();
    const result = await page.evaluate(async () => {
      const names = ['config.json', 'tokenizer.json', 'model.safetensors'];
      const get = async (name) =>
        new File([await (await fetch('/goldens/bert-tokcls/resolve/main/' + name)).blob()], name);
      const files = await Promise.all(names.map(get));
      const loaded = await load('p', 'ner', null, { device: 'wasm', files });
      return loaded.error ?? call('p', 'Maria');
    });
    good(result);
    await drop('p');
  });

  it('leaves no error behind, and asks nobody else', () => {
    assert.deepEqual(
      problems.filter((problem) => !/50[0-9]|ERR_|device/i.test(problem)),
      [],
    );
  });
});

describe('package in Chromium without WebGPU', () => {
  it('uses the CPU and says why, and refuses where WebGPU was demanded', async () => {
    const hub = await serveApp(project('no-gpu', { 'index.html': html('/main.js'), 'main.js': PAGE }));
    const browser = await openBrowser({ gpu: false });
    try {
      const { page } = await openPage(browser, `${hub.url}index.html`);
      const load = (options) =>
        page.evaluate((given) => globalThis.load('p', 'embeddings', 'goldens/bert-encoder', given), options);
      const { value } = await load({});
      assert.equal(value.info.device, 'wasm');
      assert.ok(value.info.fallback.length > 10);
      const { error } = await load({ device: 'webgpu' });
      assert.equal(error.code, 'device');
      assert.ok(error.remedy.length > 10);
    } finally {
      await browser.close();
      await hub.close();
    }
  });
});
