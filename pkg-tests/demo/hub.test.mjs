import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { golden, hub } from './support/hub.mjs';
import {
  answered,
  firstAnswer,
  openPanel,
  panelOf,
  readBars,
  startChromium,
  startSite,
  useModel,
} from './support/site.mjs';

const TEXT = 'Maria Garcia lives in Paris and works at Google.';
const CONTEXT = `${TEXT} The café in Über-Berlin was naïve, said Anna.`;

/** Percentages on the page are rounded to a tenth. */
function assertBars(bars, expected) {
  assert.deepEqual(
    bars.map((bar) => bar.label),
    expected.map((one) => one.label),
  );
  for (const [index, { label, score }] of expected.entries()) {
    const { value } = bars[index];
    assert.ok(Math.abs(value - 100 * score) < 0.11, `${label}: ${value} %, Python says ${100 * score} %`);
  }
}

for (const device of ['wasm', 'webgpu']) {
  describe(`panels with models of the hub on ${device}`, () => {
    let site, browser;
    before(async () => {
      site = await startSite();
      browser = await startChromium({ webgpu: device === 'webgpu' });
    });
    after(async () => {
      await browser.close();
      await site.close();
    });

    async function openWith(panel, model) {
      const page = await openPanel(browser, site, panel, { device, dtype: 'fp32', hub });
      await useModel(page, `golden/${model}`);
      return page;
    }

    async function ask(page, button) {
      await panelOf(page).getByRole('button', { name: button, exact: true }).click();
      await firstAnswer(page);
    }

    test('text classification', async () => {
      const page = await openWith('classify', 'bert-seqcls');
      await page.getByLabel('Text', { exact: true }).fill(TEXT);
      await ask(page, 'Download and ask');
      assertBars(await readBars(page), await golden('bert-seqcls', [TEXT], { top_k: null }));
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    });

    test('zero-shot classification with edited labels', async () => {
      const page = await openWith('zeroShot', 'distilbert-seqcls');
      await page.getByLabel('Text', { exact: true }).fill(TEXT);
      for (const label of ['science', 'politics', 'sport', 'cooking']) {
        await page.getByRole('button', { name: `Remove ${label}` }).click();
      }
      const labels = page.getByPlaceholder('New label');
      await labels.fill('sports');
      await labels.press('Enter');
      await labels.fill('politics, food and music');
      await page.getByRole('button', { name: 'Add', exact: true }).click();
      await ask(page, 'Download and ask');
      const candidates = ['sports', 'politics', 'food and music'];
      const paired = ({ labels, scores }) => labels.map((label, index) => ({ label, score: scores[index] }));
      assertBars(await readBars(page), paired(await golden('distilbert-seqcls', [TEXT, candidates])));

      await page.getByLabel('Several labels may be true').check();
      await ask(page, 'Judge labels');
      assertBars(
        await readBars(page),
        paired(await golden('distilbert-seqcls', [TEXT, candidates], { multi_label: true })),
      );
      await page.context().close();
    });

    test('question answering marks the answer and its alternatives', async () => {
      const page = await openWith('question', 'bert-qa');
      const question = 'Who lives in Paris?';
      await page.getByLabel('Question', { exact: true }).fill(question);
      await page.getByLabel('Text', { exact: true }).fill(CONTEXT);
      await ask(page, 'Download and ask');
      const expected = await golden('bert-qa', [], { question, context: CONTEXT, top_k: 3 });
      assertBars(
        await readBars(page),
        expected.map(({ answer: label, score }) => ({ label, score })),
      );
      const mark = panelOf(page).locator('.span-mark');
      assert.equal(await mark.innerText(), expected[0].answer);
      await panelOf(page).locator('.bar-button').nth(1).click();
      assert.equal(await mark.innerText(), expected[1].answer);
      await page.context().close();
    });

    test('fill-mask puts the picked candidate in', async () => {
      const page = await openWith('fillMask', 'bert-mlm');
      const text = 'Maria lives in [MASK] .';
      await page.getByLabel('Text with a gap').fill(text);
      await ask(page, 'Download and ask');
      const expected = await golden('bert-mlm', [text], { top_k: 12 });
      assertBars(
        await readBars(page),
        expected.slice(0, 6).map(({ token_str: label, score }) => ({ label, score })),
      );
      await panelOf(page).locator('.bar-button').first().click();
      assert.equal(await page.getByLabel('Text with a gap').inputValue(), 'Maria lives in at .');

      await page.getByLabel('Text with a gap').fill('no gap at all');
      await panelOf(page).getByRole('button', { name: 'Fill in' }).click();
      await panelOf(page).getByText('Put [MASK] where a word is missing.').waitFor();
      await page.context().close();
    });

    // Nothing in it is the device's business, and a load on the software adapter takes its time.
    test('two gaps get a list each', { skip: device === 'webgpu' }, async () => {
      const page = await openWith('fillMask', 'bert-mlm');
      await page.getByLabel('Text with a gap').fill('[MASK] lives in [MASK]!');
      await ask(page, 'Download and ask');
      assert.equal(await panelOf(page).locator('.bars').count(), 2);
      await panelOf(page).locator('.bars').nth(1).locator('.bar-button').first().click();
      await answered(page);
      assert.match(await page.getByLabel('Text with a gap').inputValue(), /^\[MASK\] lives in .+!$/);
      await page.context().close();
    });

    test('next-sentence prediction', async () => {
      const page = await openWith('nextSentence', 'bert-nsp');
      await page.getByLabel('First sentence', { exact: true }).fill('who lives in Paris?');
      await page.getByLabel('Second sentence', { exact: true }).fill('John lives in London.');
      await ask(page, 'Download and ask');
      const { probabilities } = await golden('bert-nsp', ['who lives in Paris?', 'John lives in London.']);
      assertBars(await readBars(page), [
        { label: 'It does not follow', score: probabilities[1] },
        { label: 'It follows', score: probabilities[0] },
      ]);
      await page.context().close();
    });
  });
}
