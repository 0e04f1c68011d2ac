import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hub } from './support/hub.mjs';
import {
  answered,
  dropFile,
  firstAnswer,
  openPanel,
  panelOf,
  readBars,
  root,
  startChromium,
  startSite,
  useModel,
} from './support/site.mjs';

const VISION = join(root, 'tests/goldens/vision');
const RGB = join(VISION, 'images/rgb.png');

/** What Python's pipeline gives for rgb.png without options. */
async function python(model) {
  const { cases } = JSON.parse(await readFile(join(VISION, model, 'pipeline.json'), 'utf8'));
  return cases.find(({ image, options }) => image === 'rgb.png' && Object.keys(options).length === 0).result;
}

describe('panels about images', () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await startChromium();
  });
  after(async () => {
    await browser.close();
    await site.close();
  });

  async function openWith(panel, model) {
    const page = await openPanel(browser, site, panel, { dtype: 'fp32', hub });
    await useModel(page, `golden/${model}`);
    return page;
  }

  async function ask(page) {
    await panelOf(page).getByRole('button', { name: 'Download and ask', exact: true }).click();
    await firstAnswer(page);
  }

  const drawing = (page) => panelOf(page).locator('.output').getByRole('img');
  const sizeOf = (canvas) => canvas.evaluate(({ width, height }) => [width, height]);

  test('a sample and a file are classified', async () => {
    const page = await openWith('picture', 'vit');
    await ask(page);
    assert.equal((await readBars(page)).length, 5);
    assert.deepEqual(await sizeOf(drawing(page)), [480, 480]);

    await panelOf(page).getByLabel('Picture', { exact: true }).setInputFiles(RGB);
    await panelOf(page).getByText('Median of 2', { exact: true }).waitFor();
    await answered(page);
    assert.deepEqual(await sizeOf(drawing(page)), [37, 29]);
    const bars = await readBars(page);
    for (const [index, { label, score }] of (await python('vit')).entries()) {
      assert.equal(bars[index].label, label);
      assert.ok(Math.abs(bars[index].value - 100 * score) < 0.11, `${label}: ${bars[index].value} %`);
    }
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('a picture is dropped', async () => {
    const page = await openWith('picture', 'vit');
    await ask(page);
    await dropFile(page, panelOf(page).getByRole('button', { name: 'Sample 1' }), RGB);
    await panelOf(page).getByText('Median of 2', { exact: true }).waitFor();
    assert.deepEqual(await sizeOf(drawing(page)), [37, 29]);
    assert.equal(await page.locator('.dropping').count(), 0);
    await page.context().close();
  });

  test('segments have names, colours and an opacity', async () => {
    const page = await openWith('segments', 'segformer-semantic');
    await panelOf(page).getByLabel('Picture', { exact: true }).setInputFiles(RGB);
    await firstAnswer(page);
    const legend = panelOf(page).getByRole('list', { name: 'Segments' }).getByRole('button');
    const names = await legend.allInnerTexts();
    const expected = (await python('segformer-semantic')).map(({ label }) => label);
    assert.deepEqual(
      names.map((name) => name.split(/\s/)[0]),
      expected,
    );
    const pixels = () => drawing(page).evaluate((canvas) => canvas.toDataURL());
    const mixed = await pixels();
    await panelOf(page).getByLabel('Opacity of the colours').fill('0');
    assert.notEqual(await pixels(), mixed);
    await panelOf(page).getByLabel('Opacity of the colours').fill('1');
    const whole = await pixels();
    await legend.first().press('Enter');
    assert.equal(await legend.first().getAttribute('aria-pressed'), 'true');
    assert.notEqual(await pixels(), whole);
    await drawing(page).hover();
    assert.ok(expected.includes(await panelOf(page).locator('.output .hint').innerText()));
    await page.context().close();
  });

  test('depth is coloured and read off', async () => {
    const page = await openWith('depth', 'glpn');
    await ask(page);
    assert.deepEqual(await sizeOf(drawing(page)), [640, 480]);
    await drawing(page).hover();
    assert.match(await panelOf(page).locator('.output .hint').innerText(), /^Here: [\d.]+$/);
    assert.match(await drawing(page).getAttribute('aria-label'), /^Depth from [\d.]+ to [\d.]+$/);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('objects have boxes', async () => {
    const page = await openPanel(browser, site, 'objects', {
      dtype: 'fp32',
      hub(route) {
        // The checkpoint has no file about images.
        if (!route.request().url().endsWith('/preprocessor_config.json')) return hub(route);
        const headers = { 'access-control-allow-origin': '*' };
        const size = { shortest_edge: 64, longest_edge: 96 };
        return route.fulfill({ headers, json: { image_processor_type: 'DetrImageProcessor', size } });
      },
    });
    await useModel(page, 'golden/detr-timm');
    await ask(page);
    const name = () => drawing(page).getAttribute('aria-label');
    // Seeded weights are sure of nothing.
    assert.equal(await name(), 'No object was found.');
    const pixels = () => drawing(page).evaluate((canvas) => canvas.toDataURL());
    const bare = await pixels();
    await panelOf(page).getByLabel('Scores from').fill('0.05');
    const labels = (await readBars(page)).map(({ label }) => label);
    assert.notEqual(labels.length, 0);
    assert.equal((await name()).split(', ').length, labels.length);
    assert.notEqual(await pixels(), bare);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('a file that is no picture is explained', async () => {
    const page = await openWith('picture', 'vit');
    const file = { name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('not a picture') };
    await panelOf(page).getByLabel('Picture', { exact: true }).setInputFiles(file);
    const card = panelOf(page).getByRole('alert');
    await card.waitFor();
    assert.equal(await card.getAttribute('data-code'), 'input');
    await panelOf(page).getByRole('button', { name: 'Sample 1' }).click();
    await card.waitFor({ state: 'detached' });
    await firstAnswer(page);
    assert.equal((await readBars(page)).length, 5);
    await page.context().close();
  });

  test('the camera is classified live until it is stopped', async () => {
    const page = await openWith('picture', 'vit');
    await page.context().grantPermissions(['camera']);
    await panelOf(page).getByText('Camera', { exact: true }).click();
    await panelOf(page).getByRole('button', { name: 'Download and ask', exact: true }).click();
    await panelOf(page)
      .getByText(/^[1-9][\d.]* frames per second, [\d.]+ ms each$/)
      .waitFor();
    assert.equal((await readBars(page)).length, 5);
    const video = panelOf(page).locator('video');
    const track = await video.evaluateHandle((element) => element.srcObject.getVideoTracks()[0]);
    await panelOf(page).getByRole('button', { name: 'Stop the camera' }).click();
    await answered(page);
    assert.equal(await track.evaluate(({ readyState }) => readyState), 'ended');
    assert.ok(await video.isHidden());
    assert.equal((await readBars(page)).length, 5, 'the last answer stays');
    await page.context().close();
  });

  test('a refused camera is explained', async () => {
    const page = await openWith('picture', 'vit');
    await panelOf(page).getByText('Camera', { exact: true }).click();
    await panelOf(page).getByRole('button', { name: 'Download and ask', exact: true }).click();
    const card = panelOf(page).getByRole('alert');
    await card.waitFor();
    assert.equal(await card.getAttribute('data-code'), 'camera_refused');
    assert.match(await card.innerText(), /does not let this page use the camera/);
    await page.context().close();
  });
});
