/** The packed tarball in Firefox, which has no WebGPU here: answers on the CPU, the cache, what it says about the GPU. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { caller, good, PAGE } from '../page.mjs';
import { html, noFirefox, openFirefox, project, serveApp } from '../support.mjs';
import { checkEmbeddings, checkEntities, realModels } from '../real.mjs';

const VARIANTS = [
  'bert-encoder',
  'bert-sharded',
  'bert-qa',
  'bert-mlm',
  'distilbert-tokcls',
  'distilbert-seqcls',
];

describe('package in Firefox', { skip: noFirefox }, () => {
  let browser, hub, page, calls;
  const problems = [];
  before(async () => {
    const folder = project('firefox', { 'index.html': html('/main.js'), 'main.js': PAGE });
    hub = await serveApp(folder, { models: realModels });
    browser = await openFirefox();
    page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(`${hub.url}index.html`);
    await page.waitForFunction(() => globalThis.ready);
    calls = caller(page);
  });
  after(async () => {
    await browser?.close();
    await hub?.close();
  });

  for (const build of ['auto', 'simd']) {
    it(`agrees with Python, ${build}`, async () => {
      await calls.use(build);
      for (const variant of VARIANTS) await calls.goldens(variant, { device: 'wasm' });
      await checkEmbeddings(calls, 'wasm');
      await checkEntities(calls, 'wasm');
      await calls.use('auto');
    });
  }

  it('uses the CPU and says why, and refuses where WebGPU was demanded', async () => {
    const { info } = good(await calls.load('p', 'embeddings', 'goldens/bert-encoder'));
    assert.equal(info.device, 'wasm');
    assert.ok(info.fallback.length > 10);
    await calls.drop('p');
    const { error } = await calls.load('p', 'embeddings', 'goldens/bert-encoder', { device: 'webgpu' });
    assert.equal(error.code, 'device');
    assert.ok(error.remedy.length > 10);
  });

  it('keeps downloads in the Cache API', async () => {
    await page.evaluate(() => globalThis.tareas.cache.clear());
    for (const asked of [true, false]) {
      hub.reset();
      good(await calls.load('p', 'feature-extraction', 'goldens/bert-sharded', { device: 'wasm' }));
      await calls.drop('p');
      assert.equal(hub.asked(/resolve/).length > 0, asked);
    }
  });

  it('leaves no error behind', () => assert.deepEqual(problems, []));
});
