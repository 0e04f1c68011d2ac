import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hub } from './support/hub.mjs';
import { openPanel, panelOf, startChromium, startSite, useModel } from './support/site.mjs';

describe('panels that write', () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await startChromium();
  });
  after(async () => {
    await browser.close();
    await site.close();
  });

  async function ask(panel, model, before = async () => {}) {
    const page = await openPanel(browser, site, panel, { dtype: 'fp32', hub });
    await useModel(page, `golden/${model}`);
    await before(panelOf(page));
    await panelOf(page).getByRole('button', { name: 'Download and ask', exact: true }).click();
    await panelOf(page).getByTestId('figures').filter({ hasText: /\d+ tokens/ }).waitFor();
    return page;
  }

  test('a text is continued, and each token tells what else it could have been', async () => {
    const page = await ask('generate', 'gpt2-text');
    const tokens = panelOf(page).locator('.written .token');
    assert.ok((await tokens.count()) >= 5, `${await tokens.count()} tokens`);
    await tokens.first().hover();
    await page.locator('#tip dd').nth(4).waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
});
