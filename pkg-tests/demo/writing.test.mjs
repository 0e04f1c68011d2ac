import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { calls, hub } from './support/hub.mjs';
import { firstAnswer, openPanel, panelOf, startChromium, startSite, useModel } from './support/site.mjs';

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
    await firstAnswer(page);
    const figures = await panelOf(page).getByTestId('figures').innerText();
    assert.match(figures, /^\d+ tokens, the first after [\d.]+ m?s, then [\d.,]+ per second$/);
    return page;
  }

  const written = (page) => panelOf(page).locator('.written').textContent();
  const versions = (page) => panelOf(page).getByRole('list', { name: 'Versions and their scores' });

  test('a text is continued, and each token tells what else it could have been', async () => {
    const page = await ask('generate', 'gpt2-text');
    const tokens = panelOf(page).locator('.written .token');
    assert.ok((await tokens.count()) >= 5, `${await tokens.count()} tokens`);
    await tokens.first().hover();
    await page.locator('#tip dd').nth(4).waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('a text is summarized as in Python, and the other beams can be read', async () => {
    const page = await ask('summarize', 'bart-text', async (panel) => {
      await panel.getByLabel('Text', { exact: true }).fill('The dog');
      await panel.getByLabel('New tokens at most').fill('20');
    });
    const [{ result }] = await calls('bart-text', { task: 'summarization', args: ['The dog'] });
    assert.equal(await written(page), result[0].summary_text);
    const bars = versions(page).getByRole('button');
    assert.equal(await bars.count(), 4);
    assert.equal(await bars.first().getAttribute('aria-pressed'), 'true');
    await bars.nth(1).click();
    assert.equal(await written(page), await bars.nth(1).locator('.bar-label').textContent());
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('a long text is summarized, with a single beam and its candidates too', async () => {
    const page = await ask('summarize', 'bart-text', (panel) =>
      panel.getByLabel('New tokens at most').fill('40'),
    );
    assert.equal(await versions(page).getByRole('button').count(), 4);
    await panelOf(page).getByLabel('Beams').fill('1');
    await panelOf(page).getByRole('button', { name: 'Summarize', exact: true }).click();
    await panelOf(page).locator('.written .token').nth(9).waitFor();
    await firstAnswer(page);
    assert.equal(await versions(page).count(), 0);
    await page.context().close();
  });

  test('a text is translated between two languages as in Python', async () => {
    const page = await ask('translate', 't5-text', async (panel) => {
      await panel.getByLabel('Text', { exact: true }).fill('The dog');
      await panel.getByLabel('From', { exact: true }).fill('en');
      await panel.getByLabel('To', { exact: true }).fill('de');
      await panel.getByLabel('New tokens at most').fill('20');
    });
    const [{ result }] = await calls('t5-text', { task: 'translation_en_to_de', args: ['The dog'] });
    assert.equal(await written(page), result[0].translation_text);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('more tokens than the model has room for are explained', async () => {
    const page = await openPanel(browser, site, 'summarize', { dtype: 'fp32', hub });
    await useModel(page, 'golden/bart-text');
    await panelOf(page).getByRole('button', { name: 'Download and ask', exact: true }).click();
    const card = panelOf(page).getByRole('alert');
    await card.waitFor();
    assert.match(await card.innerText(), /96 positions[\s\S]+lower max_new_tokens/);
    await page.context().close();
  });

  test('a text is stopped in the middle', async () => {
    const page = await openPanel(browser, site, 'generate', { dtype: 'fp32', hub });
    await useModel(page, 'golden/gpt2-text');
    // The model writes faster than one can click: what stops it is already waiting.
    await page.evaluate(() => {
      const stop = [...document.querySelectorAll('article:not([hidden]) .stop')].at(-1);
      const seen = () => document.querySelectorAll('article:not([hidden]) .written .token').length >= 3;
      new MutationObserver(() => seen() && stop.click()).observe(document.body, {
        childList: true,
        subtree: true,
      });
    });
    await panelOf(page).getByLabel('New tokens at most').fill('60');
    await panelOf(page).getByRole('button', { name: 'Download and ask', exact: true }).click();
    await firstAnswer(page);
    const figures = await panelOf(page).getByTestId('figures').innerText();
    assert.ok(Number.parseInt(figures) < 60, figures);
    await panelOf(page).getByRole('button', { name: 'Write on' }).waitFor();
    assert.equal(await panelOf(page).getByRole('alert').count(), 0);
    await page.context().close();
  });
});
