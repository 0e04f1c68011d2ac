import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cameraFile } from './support/camera.mjs';
import { firstAnswer, openPanel, panelOf, readBars, root, startChromium, startSite } from './support/site.mjs';

// The models that were trained for the page: each opens with a sample that it answers rightly.
describe('panels with models trained for the page', () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await startChromium();
  });
  after(async () => {
    await browser.close();
    await site.close();
  });

  test('topics are told apart, and a larger model is offered', async () => {
    const page = await openPanel(browser, site, 'classify');
    await firstAnswer(page);
    const best = async () => (await readBars(page))[0].label;
    assert.equal(await best(), 'games');
    for (const [number, topic] of [
      [2, 'internet'],
      [3, 'graphics and video'],
    ]) {
      await panelOf(page)
        .getByRole('button', { name: `Sample ${number}` })
        .click();
      await panelOf(page).locator('.bar.best', { hasText: topic }).waitFor();
    }

    let asked = 0;
    await page.context().route('https://huggingface.co/**', (route) => {
      asked += 1;
      return route.abort();
    });
    const advice = panelOf(page).locator('.aside', { hasText: 'A small demonstration model' });
    assert.match(await advice.innerText(), /^It tells twelve topics of software apart/);
    await advice.getByRole('button', { name: 'distilbert/' }).click();
    await panelOf(page).getByText('Nothing downloaded yet').waitFor();
    assert.equal(asked, 0, 'it is the button that downloads');
    assert.equal(await advice.isVisible(), false);
    const text = await page.getByLabel('Text', { exact: true }).inputValue();
    assert.match(text, /^I expected very little/, 'the samples are those of any model');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('a hidden word is found', async () => {
    const page = await openPanel(browser, site, 'fillMask');
    await firstAnswer(page);
    assert.equal((await readBars(page))[0].label, 'header');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('things are named, in a picture', async () => {
    const page = await openPanel(browser, site, 'picture');
    await firstAnswer(page);
    assert.equal((await readBars(page))[0].label, 'penguin');
    for (const [number, thing] of [
      [2, 'strawberry'],
      [3, 'car'],
    ]) {
      await panelOf(page)
        .getByRole('button', { name: `Sample ${number}` })
        .click();
      await panelOf(page).locator('.bar.best', { hasText: thing }).waitFor();
    }
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('and before the camera', async () => {
    const picture = join(root, 'www/models/things/strawberry.webp');
    const camera = await cameraFile(browser, picture, { width: 480, height: 480 });
    const other = await startChromium({ camera });
    try {
      const page = await openPanel(other, site, 'picture');
      await page.context().grantPermissions(['camera']);
      await firstAnswer(page);
      await panelOf(page).getByText('Camera', { exact: true }).click();
      await panelOf(page).getByRole('button', { name: 'Start the camera', exact: true }).click();
      await panelOf(page)
        .getByText(/^[1-9][\d.]* frames per second/)
        .waitFor();
      await panelOf(page).locator('.bar.best', { hasText: 'strawberry' }).waitFor();
      await panelOf(page).getByRole('button', { name: 'Stop the camera' }).click();
    } finally {
      await other.close();
    }
  });

  test('a text streams in at once', async () => {
    const page = await openPanel(browser, site, 'generate');
    await panelOf(page).locator('.written .token').nth(2).waitFor();
    await firstAnswer(page);
    assert.match(
      await panelOf(page).locator('.written').innerText(),
      /^This package contains the development files\S* \w+/,
    );
    const figures = await panelOf(page).getByTestId('figures').innerText();
    assert.match(figures, /^40 tokens, the first after [\d.]+ m?s, then [\d.,]+ per second$/);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('every model has a card that says what it is', async () => {
    for (const panel of ['classify', 'fillMask', 'generate', 'picture']) {
      const page = await openPanel(browser, site, panel);
      const card = panelOf(page).locator('.credit').getByRole('link', { name: 'model card' });
      const response = await page.request.get(new URL(await card.getAttribute('href'), site.address).href);
      assert.equal(response.status(), 200);
      assert.match(await response.text(), /^# [\s\S]+Held out[\s\S]+Limits/);
      await page.context().close();
    }
  });
});
