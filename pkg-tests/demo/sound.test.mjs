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

const AUDIO = join(root, 'tests/goldens/audio');
const ES = join(AUDIO, 'clips/es.wav');

/** What Python's pipeline gives for a clip without options. */
async function python(model, clip) {
  const { calls } = JSON.parse(await readFile(join(AUDIO, model, 'pipeline.json'), 'utf8'));
  return calls.find((call) => call.clip === clip && !call.stride && Object.keys(call.kwargs).length === 0)
    .result;
}

describe('panels about sound', () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await startChromium({ microphone: ES });
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

  const press = (page, name) => panelOf(page).getByRole('button', { name, exact: true }).click();
  const transcript = (page) => panelOf(page).getByRole('log', { name: 'Transcript' });
  /** Keeps the tracks of every microphone, to see them end. */
  const watchTracks = (page) =>
    page.evaluate(() => {
      globalThis.tracks = [];
      const devices = navigator.mediaDevices;
      const open = devices.getUserMedia.bind(devices);
      devices.getUserMedia = async (wanted) => {
        const stream = await open(wanted);
        globalThis.tracks.push(...stream.getTracks());
        return stream;
      };
    });
  const trackStates = (page) => page.evaluate(() => globalThis.tracks.map(({ readyState }) => readyState));

  test('a sample and a dropped clip are written down, with a player and subtitles', async () => {
    const page = await openWith('speech', 'wav2vec2-ctc');
    await press(page, 'Download and ask');
    await firstAnswer(page);
    const said = async () => (await transcript(page).innerText()).trim();
    assert.equal(await said(), (await python('wav2vec2-ctc', 'en.wav')).text);
    await panelOf(page)
      .getByText(/^1\.\d+ s of sound in [\d.]+ m?s: [\d.,]+ times as fast as it was spoken$/)
      .waitFor();

    await dropFile(page, panelOf(page).getByLabel('Sound file'), ES);
    await panelOf(page).getByText('Median of 2', { exact: true }).waitFor();
    assert.equal(await said(), (await python('wav2vec2-ctc', 'es.wav')).text);

    // Seeded weights find no spaces: the clip is one word, and the player stands in it.
    const word = transcript(page).locator('.word');
    assert.equal(await word.count(), 1);
    await word.click();
    await transcript(page).locator('.word.spoken').waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), press(page, 'Save SRT')]);
    assert.equal(file.suggestedFilename(), 'captions.srt');
    assert.match(
      await readFile(await file.path(), 'utf8'),
      /^1\r?\n00:00:00,\d+ --> 00:00:0[12],\d+\r?\nKJHJ/,
    );
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('the microphone is written down live until it is stopped', async () => {
    const page = await openWith('speech', 'wav2vec2-ctc');
    await page.context().grantPermissions(['microphone']);
    await watchTracks(page);
    await panelOf(page).getByText('Microphone', { exact: true }).click();
    await press(page, 'Download and ask');
    await transcript(page).locator('.word').first().waitFor();
    await panelOf(page)
      .getByText(/^words are final [\d.]+ m?s after they were spoken$/)
      .waitFor();
    assert.ok(
      (await panelOf(page)
        .locator('meter')
        .evaluate(({ value }) => value)) > 0,
    );
    assert.deepEqual(await trackStates(page), ['live']);
    await press(page, 'Stop listening');
    await answered(page);
    assert.deepEqual(await trackStates(page), ['ended']);
    assert.ok((await transcript(page).locator('.word:not(.partial)').count()) > 0, 'what was heard stays');
    assert.equal(await panelOf(page).getByText('Median of 1', { exact: true }).count(), 0, 'it is no time');
    await panelOf(page).getByRole('button', { name: 'Start listening' }).waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('leaving the panel turns the microphone off', async () => {
    const page = await openWith('speech', 'wav2vec2-ctc');
    await page.context().grantPermissions(['microphone']);
    await watchTracks(page);
    await panelOf(page).getByText('Microphone', { exact: true }).click();
    await press(page, 'Download and ask');
    await transcript(page).locator('.word').first().waitFor();
    await page.getByRole('link', { name: 'Classify sounds' }).click();
    await page.waitForFunction(() => globalThis.tracks.every(({ readyState }) => readyState === 'ended'));
    await page.context().close();
  });

  test('a sample and the microphone are classified', async () => {
    const page = await openWith('sounds', 'wav2vec2-seqcls');
    await press(page, 'Download and ask');
    await firstAnswer(page);
    const bars = await readBars(page);
    for (const [index, { label, score }] of (await python('wav2vec2-seqcls', 'en.wav')).entries()) {
      assert.equal(bars[index].label, label);
      assert.ok(Math.abs(bars[index].value - 100 * score) < 0.11, `${label}: ${bars[index].value} %`);
    }
    await page.context().grantPermissions(['microphone']);
    await watchTracks(page);
    await panelOf(page).getByText('Microphone', { exact: true }).click();
    await press(page, 'Start listening');
    await panelOf(page)
      .getByText(/^[\d.]+ answers per second, [\d.]+ m?s each$/)
      .waitFor();
    assert.equal((await readBars(page)).length, 5);
    await press(page, 'Stop listening');
    await answered(page);
    assert.deepEqual(await trackStates(page), ['ended']);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  for (const [panel, model] of [
    ['speech', 'wav2vec2-ctc'],
    ['sounds', 'wav2vec2-seqcls'],
  ]) {
    test(`a refused microphone is explained by ${panel}`, async () => {
      const page = await openWith(panel, model);
      await panelOf(page).getByText('Microphone', { exact: true }).click();
      await press(page, 'Download and ask');
      const card = panelOf(page).getByRole('alert');
      await card.waitFor();
      assert.equal(await card.getAttribute('data-code'), 'microphone_refused');
      await page.context().close();
    });
  }
});
