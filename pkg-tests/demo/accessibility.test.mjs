import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { hub } from './support/hub.mjs';
import { firstAnswer, openPanel, panelOf, startChromium, startSite, useModel } from './support/site.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PANELS = [
  'entities',
  'search',
  'similarity',
  'classify',
  'zeroShot',
  'question',
  'fillMask',
  'nextSentence',
  'picture',
  'objects',
  'segments',
  'depth',
  'speech',
  'sounds',
  'generate',
  'summarize',
  'translate',
];

describe('accessibility', () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await startChromium();
  });
  after(async () => {
    await browser.close();
    await site.close();
  });

  async function check(page, what) {
    // The page's policy keeps out scripts that are not its own; the driver's are evaluated, not inserted.
    const source = await import('node:fs/promises').then((fs) => fs.readFile(axe, 'utf8'));
    await page.evaluate(source);
    const violations = await page.evaluate(async (tags) => {
      const result = await window.axe.run(document, { runOnly: { type: 'tag', values: tags } });
      return result.violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((node) => node.failureSummary + ' ' + node.html).join('; ')}`,
      );
    }, RULES);
    assert.deepEqual(violations, [], what);
  }

  for (const theme of ['light', 'dark']) {
    for (const panel of PANELS) {
      test(`${panel} in ${theme}`, async () => {
        const lang = theme === 'dark' ? 'es' : 'en';
        const page = await openPanel(browser, site, panel, { theme, lang });
        if (['entities', 'search', 'similarity'].includes(panel)) await firstAnswer(page);
        for (const fold of await panelOf(page).locator('summary:visible').all()) await fold.click();
        await check(page, `${panel}, ${theme}, ${lang}`);
        await page.context().close();
      });
    }
  }

  test('on a phone', async () => {
    const page = await openPanel(browser, site, 'entities', { width: 390 });
    await firstAnswer(page);
    await check(page, 'entities at 390 px');
    await page.context().close();
  });

  test('the model dialog', async () => {
    const page = await openPanel(browser, site, 'entities');
    await panelOf(page).getByRole('button', { name: 'Change model' }).click();
    await check(page, 'dialog');
    await page.context().close();
  });

  for (const theme of ['light', 'dark']) {
    test(`an answer with candidates and an error, in ${theme}`, async () => {
      const page = await openPanel(browser, site, 'question', { hub, theme, dtype: 'fp32' });
      await useModel(page, 'golden/bert-qa');
      await panelOf(page).getByRole('button', { name: 'Download and ask' }).click();
      await firstAnswer(page);
      await check(page, 'answer');
      await useModel(page, 'nobody/nothing');
      await panelOf(page).getByRole('button', { name: 'Download and ask' }).click();
      await panelOf(page).getByRole('alert').waitFor();
      await check(page, 'error card');
      await page.context().close();
    });
  }
});
