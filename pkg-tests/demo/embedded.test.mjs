import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  firstAnswer,
  openPanel,
  panelOf,
  readBars,
  readEntities,
  startChromium,
  startSite,
} from './support/site.mjs';

/** As `transformers` 4.57 gives it in fp32 with aggregation_strategy 'first'. */
const MARIA = [
  ['Maria', 'GIVEN_NAME'],
  ['Lopez', 'SURNAME'],
  ['482', 'BUILDING_NUMBER'],
  ['Cedar Street', 'STREET_NAME'],
  ['Portland', 'CITY'],
  ['503-555-0147', 'PHONE'],
];
const LUCIA = [
  ['Lucía', 'GIVEN_NAME'],
  ['Fernández', 'SURNAME'],
  ['calle Mayor', 'STREET_NAME'],
  ['12', 'BUILDING_NUMBER'],
  ['Madrid', 'CITY'],
  ['612 345 678', 'PHONE'],
];

for (const device of ['wasm', 'webgpu']) {
  describe(`panels with embedded models on ${device}`, () => {
    let site, browser;
    before(async () => {
      site = await startSite();
      browser = await startChromium({ webgpu: device === 'webgpu' });
    });
    after(async () => {
      await browser.close();
      await site.close();
    });

    test('entities are found as you type, told apart and redacted', async () => {
      const page = await openPanel(browser, site, null, { device });
      await firstAnswer(page);
      assert.deepEqual(await readEntities(page), MARIA);
      const badge = await panelOf(page).locator('.badge').innerText();
      assert.match(badge, device === 'webgpu' ? /running on WebGPU/ : /running on CPU/);

      await page.getByRole('button', { name: 'Sample 3' }).click();
      await panelOf(page).locator('mark.entity', { hasText: 'Lucía' }).waitFor();
      assert.deepEqual(await readEntities(page), LUCIA);

      await page.getByText('Redact', { exact: true }).click();
      const text = await panelOf(page).getByTestId('marked').innerText();
      assert.match(text, /Me llamo \[given name\] \[surname\] y vivo en la/);
      assert.doesNotMatch(text, /Lucía|Madrid|612/);

      // Answers follow the typing.
      await page.getByText('Highlight', { exact: true }).click();
      await page.getByLabel('Text', { exact: true }).fill('My name is Thomas Baker and I live in Denver.');
      await panelOf(page).locator('mark.entity', { hasText: 'Denver' }).waitFor();
      assert.deepEqual(await readEntities(page), [
        ['Thomas', 'GIVEN_NAME'],
        ['Baker', 'SURNAME'],
        ['Denver', 'CITY'],
      ]);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    });

    test('search ranks by meaning, sentences are compared', async () => {
      const page = await openPanel(browser, site, 'search', { device });
      await firstAnswer(page);
      const weather = await readBars(page);
      assert.equal(weather[0].label, 'Heavy snow closed the mountain pass overnight.');
      assert.equal(weather[1].label, 'She forgot her umbrella and got soaked on the way home.');
      assert.ok(Math.abs(weather[0].value - 0.315) < 0.03, `cosine ${weather[0].value}, Python says 0.315`);

      await page.getByLabel('Looking for').fill('classical music');
      await panelOf(page).locator('.bar.best', { hasText: 'orchestra' }).waitFor();

      // The neighbouring panel shares the loaded model, and its numbers are Python's.
      await page.getByRole('link', { name: 'Compare sentences' }).click();
      await panelOf(page).locator('.heat').waitFor();
      assert.match(await panelOf(page).locator('.stats').innerText(), /Median of [4-9]/);
      const cells = await panelOf(page)
        .locator('.heat td')
        .evaluateAll((all) => all.map((cell) => Number(cell.textContent)));
      const expected = [
        [1, 0.49, -0.08, -0.08, -0.05],
        [0.49, 1, -0.06, -0.07, 0.01],
        [-0.08, -0.06, 1, 0.63, -0.05],
        [-0.08, -0.07, 0.63, 1, -0.01],
        [-0.05, 0.01, -0.05, -0.01, 1],
      ].flat();
      assert.equal(cells.length, expected.length);
      for (const [index, value] of expected.entries()) {
        assert.ok(
          Math.abs(cells[index] - value) < 0.035,
          `cell ${index}: ${cells[index]}, Python says ${value}`,
        );
      }
      await page.context().close();
    });
  });
}
