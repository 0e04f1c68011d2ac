import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mkdtemp, cp, rm, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hub } from './support/hub.mjs';
import {
  firstAnswer,
  openPanel,
  panelOf,
  readBars,
  readEntities,
  root,
  startChromium,
  startSite,
  useModel,
} from './support/site.mjs';

describe('the page', () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await startChromium();
  });
  after(async () => {
    await browser.close();
    await site.close();
  });

  test('shows the time from page load to first answer, times and memory', async () => {
    const page = await openPanel(browser, site, null);
    await firstAnswer(page);
    const ms = Number(await page.getByTestId('first-answer').getAttribute('data-ms'));
    const mark = await page.evaluate(() => performance.getEntriesByName('tareas:first-answer')[0].startTime);
    assert.ok(Math.abs(ms - mark) < 50, `${ms} ms shown, ${mark} ms marked`);
    const stats = panelOf(page).locator('.stats');
    await stats.getByText('Weights').waitFor();
    assert.match(
      await stats.innerText(),
      /Load\s+[\d.]+ m?s[\s\S]+First answer[\s\S]+Median of 1[\s\S]+Weights\s+[\d.]+ MB/,
    );
    await page.context().close();
  });

  test('measures operations when asked to', async () => {
    const page = await openPanel(browser, site, 'entities');
    await firstAnswer(page);
    await page.getByText('Where the time goes').click();
    const rows = panelOf(page).locator('.ops tbody tr');
    await rows.first().waitFor();
    assert.match(await rows.allInnerTexts().then((texts) => texts.join('\n')), /linear|attention/i);
    await page.context().close();
  });

  test('unloads a model and loads it again', async () => {
    const page = await openPanel(browser, site, 'entities');
    await firstAnswer(page);
    await page.getByRole('button', { name: 'Unload' }).click();
    await page.getByText('ships with this page').first().waitFor();
    assert.ok(await panelOf(page).locator('.report').isHidden());
    await panelOf(page).getByRole('button', { name: 'Find entities' }).click();
    await firstAnswer(page);
    assert.equal((await readEntities(page)).length, 6);
    await page.context().close();
  });

  test('asks on Ctrl+Enter', async () => {
    const page = await openPanel(browser, site, 'entities');
    await firstAnswer(page);
    await page.getByText('Median of 1', { exact: true }).waitFor();
    await page.getByLabel('Text', { exact: true }).press('Control+Enter');
    await page.getByText('Median of 2', { exact: true }).waitFor();
    await page.context().close();
  });

  test('works by keyboard alone', async () => {
    const page = await openPanel(browser, site, null);
    await firstAnswer(page);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter'); // the skip link
    const inMain = () => page.evaluate(() => document.querySelector('main').contains(document.activeElement));
    assert.ok(await inMain(), 'the skip link leads into the main landmark');

    const focusOn = async (predicate, what) => {
      for (let step = 0; step < 60; step++) {
        await page.keyboard.press('Tab');
        if (await page.evaluate(predicate)) return;
      }
      assert.fail(`Tab never reaches ${what}`);
    };
    await focusOn(() => document.activeElement.matches('mark.entity'), 'an entity');
    const tip = page.getByRole('tooltip');
    await tip.waitFor();
    assert.match(await tip.innerText(), /given name[\s\S]+%[\s\S]+12–17/);
    await page.keyboard.press('Escape');
    assert.ok(await tip.isHidden());

    await page.evaluate(() => document.querySelector('nav a').focus());
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('[data-panel="search"]:not([hidden])').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Search by meaning');
    await firstAnswer(page);

    await focusOn(() => document.activeElement.textContent === 'Change model', 'the model button');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.getByRole('dialog').count(), 0);
    assert.equal(
      await page.evaluate(() => document.activeElement.textContent),
      'Change model',
      'focus comes back',
    );
    await page.context().close();
  });

  test('speaks Spanish, remembers it, and keeps what was typed and answered', async () => {
    const page = await openPanel(browser, site, 'entities');
    await firstAnswer(page);
    const area = page.getByLabel('Text', { exact: true });
    await area.fill('My name is Thomas Baker.');
    await panelOf(page).locator('mark.entity', { hasText: 'Thomas' }).waitFor();
    await page.getByLabel('Language').selectOption('es');
    assert.equal(await page.locator('html').getAttribute('lang'), 'es');
    await page.getByRole('heading', { name: 'Encuentra datos personales en un texto' }).waitFor();
    assert.equal(await page.getByLabel('Texto', { exact: true }).inputValue(), 'My name is Thomas Baker.');
    assert.equal((await readEntities(page)).length, 2);
    assert.match(await page.title(), /navegador/);
    await page.reload();
    await page.getByRole('heading', { name: 'Encuentra datos personales en un texto' }).waitFor();
    const english = await page.evaluate(() =>
      /\b(Change model|Download and ask|Language|Sample \d|Precision)\b/.exec(document.body.innerText),
    );
    assert.equal(english, null, 'no English is left over');
    await page.context().close();
  });

  test('starts in the language of the browser', async () => {
    const page = await openPanel(browser, site, null, { lang: 'es-MX' });
    await page.getByRole('heading', { name: 'Encuentra datos personales en un texto' }).waitFor();
    await page.context().close();
  });

  test('remembers the chosen colours', async () => {
    const page = await openPanel(browser, site, null);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByLabel('Colours').selectOption('dark');
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await ground(), dark);
    await page.context().close();
  });

  test('explains a model that is not there, and goes on with another', async () => {
    const page = await openPanel(browser, site, 'classify', { hub, dtype: 'fp32' });
    await useModel(page, 'nobody/no-such-model');
    await panelOf(page).getByRole('button', { name: 'Download and ask' }).click();
    const card = panelOf(page).getByRole('alert');
    await card.waitFor();
    assert.equal(await card.getAttribute('data-code'), 'not_found');
    const text = await card.innerText();
    assert.match(text, /There is no such model or file/);
    assert.match(text, /nobody\/no-such-model/);
    assert.match(text, /What to do:/);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await card.getByRole('button', { name: 'Copy details' }).click();
    const details = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
    assert.equal(details.code, 'not_found');
    assert.equal(details.model, 'nobody/no-such-model');

    await useModel(page, 'golden/bert-seqcls');
    await panelOf(page).getByRole('button', { name: 'Download and ask' }).click();
    await firstAnswer(page);
    assert.equal((await readBars(page)).length, 3);
    await page.context().close();
  });

  test('says why it runs on the CPU, and fails where only WebGPU will do', async () => {
    // This Chromium was started without an adapter.
    const page = await openPanel(browser, site, 'entities', { device: 'auto' });
    await firstAnswer(page);
    await panelOf(page)
      .getByText(/Running on the CPU instead of WebGPU: \S+/)
      .waitFor();
    await page.getByLabel('Device').selectOption('webgpu');
    const card = panelOf(page).getByRole('alert');
    await card.waitFor();
    assert.equal(await card.getAttribute('data-code'), 'device');
    assert.match(await card.innerText(), /The device cannot run this model/);
    await page.getByLabel('Device').selectOption('wasm');
    await firstAnswer(page);
    assert.equal((await readEntities(page)).length, 6);
    await page.context().close();
  });

  test('offers the precisions, and answers in each', async () => {
    const page = await openPanel(browser, site, 'entities');
    await firstAnswer(page);
    for (const dtype of ['fp32', 'fp16', 'q4', 'q8']) {
      await page.getByLabel('Precision').selectOption(dtype);
      await panelOf(page)
        .locator('.badge', { hasText: `running on CPU, ${dtype}` })
        .waitFor();
      await firstAnswer(page);
      assert.deepEqual((await readEntities(page))[0], ['Maria', 'GIVEN_NAME']);
    }
    await page.context().close();
  });

  test('says what it will download before it does', async () => {
    let asked = 0;
    const page = await openPanel(browser, site, 'question', {
      hub: (route) => {
        asked += 1;
        return hub(route);
      },
    });
    await panelOf(page)
      .getByText(/fetches distilbert\/distilbert-base-cased-distilled-squad.+about 261 MB/)
      .waitFor();
    assert.equal(asked, 0);
    await page.context().close();
  });

  test('cancels a download and stays usable', async () => {
    const page = await openPanel(browser, site, 'classify', {
      dtype: 'fp32',
      hub: async (route) => {
        if (route.request().url().endsWith('.safetensors'))
          await new Promise((done) => setTimeout(done, 3000));
        return hub(route).catch(() => undefined);
      },
    });
    await useModel(page, 'golden/bert-seqcls');
    await panelOf(page).getByRole('button', { name: 'Download and ask' }).click();
    await panelOf(page).locator('.notice.loading').waitFor();
    await panelOf(page).getByRole('button', { name: 'Cancel' }).click();
    await panelOf(page).getByText('Nothing downloaded yet').waitFor();
    assert.equal(await panelOf(page).getByRole('alert').count(), 0);
    await panelOf(page).getByRole('button', { name: 'Download and ask' }).click();
    await firstAnswer(page);
    await page.context().close();
  });

  describe('a folder from the disk', () => {
    let folder;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tareas-'));
      await cp(join(root, 'tests/goldens/bert-seqcls'), join(folder, 'my-model'), { recursive: true });
    });
    after(() => rm(folder, { recursive: true }));

    test('is picked', async () => {
      const page = await openPanel(browser, site, 'classify', { dtype: 'fp32' });
      await panelOf(page).getByRole('button', { name: 'Change model' }).click();
      await page.getByLabel('Choose a folder').setInputFiles(join(folder, 'my-model'));
      await firstAnswer(page);
      assert.equal(await panelOf(page).locator('.model-name').innerText(), 'my-model');
      assert.equal((await readBars(page)).length, 3);
      await page.context().close();
    });

    test('is dropped on the panel', async () => {
      const page = await openPanel(browser, site, 'classify', { dtype: 'fp32' });
      const box = await panelOf(page).boundingBox();
      const cdp = await page.context().newCDPSession(page);
      const drag = (type) =>
        cdp.send('Input.dispatchDragEvent', {
          type,
          x: box.x + 200,
          y: box.y + 40,
          data: { items: [], files: [join(folder, 'my-model')], dragOperationsMask: 1 },
        });
      for (const type of ['dragEnter', 'dragOver', 'drop']) await drag(type);
      await firstAnswer(page);
      assert.equal(await panelOf(page).locator('.model-name').innerText(), 'my-model');
      await page.context().close();
    });

    test('without a config.json is refused in the dialog', async () => {
      const page = await openPanel(browser, site, 'classify');
      await panelOf(page).getByRole('button', { name: 'Change model' }).click();
      await page.getByLabel('Choose files').setInputFiles(join(folder, 'my-model/vocab.txt'));
      await page.getByText('There is no config.json in it').waitFor();
      await page.context().close();
    });
  });

  test('models carry their authors, licences and notices', async () => {
    const page = await openPanel(browser, site, 'entities');
    const credit = panelOf(page).locator('.credit');
    assert.match(await credit.innerText(), /Rampart · National Design Studio · CC BY 4\.0 · converted/);
    for (const link of await credit.getByRole('link', { name: /licence|notice/ }).all()) {
      const response = await page.request.get(new URL(await link.getAttribute('href'), site.address).href);
      assert.equal(response.status(), 200, await link.getAttribute('href'));
    }
    await page.context().close();
  });

  test('keeps to its content security policy', async () => {
    const html = await readFile(join(root, 'www/index.html'), 'utf8');
    assert.doesNotMatch(
      /content="(default-src[^"]+)"/.exec(html)[1],
      /unsafe-inline|'unsafe-eval'|blob: *;?.*script/,
    );
    const page = await openPanel(browser, site, 'search');
    await firstAnswer(page);
    assert.deepEqual(page.complaints, []);
    const blocked = await page.evaluate(() =>
      fetch('https://example.com/').then(
        () => 'sent',
        () => 'blocked',
      ),
    );
    assert.equal(blocked, 'blocked');
    await page.context().close();
  });

  test('asks no other server for anything', async () => {
    const elsewhere = [];
    const page = await openPanel(browser, site, null);
    page.context().on('request', (request) => {
      if (!request.url().startsWith(site.address) && !request.url().startsWith('data:'))
        elsewhere.push(request.url());
    });
    await firstAnswer(page);
    await page.goto(`${site.address}#/search`);
    await firstAnswer(page);
    assert.deepEqual(elsewhere, []);
    await page.context().close();
  });

  test('never scrolls sideways', async () => {
    for (const width of [320, 390, 768, 1280]) {
      for (const panel of [
        'entities',
        'similarity',
        'zeroShot',
        'question',
        'objects',
        'speech',
        'generate',
      ]) {
        const page = await openPanel(browser, site, panel, { width, lang: 'es' });
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${panel} at ${width} px is ${overflow} px too wide`);
        await page.context().close();
      }
    }
  });
});
