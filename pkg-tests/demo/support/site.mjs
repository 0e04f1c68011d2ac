import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from '../../../www/serve.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Generous: the whole suite may share two cores with other work. */
export const SLOW = 120_000;

const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // For who may use a camera or a microphone; without the permission it is refused as any other.
  '--use-fake-device-for-media-stream',
];
const WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  // Without it the software adapter compiles a kernel in seconds instead of a tenth of one.
  '--enable-dawn-features=disable_workgroup_init',
];

export function startSite() {
  const dir = process.env.TAREAS_SITE ?? join(root, 'www/dist');
  const models = process.env.TAREAS_MODELS ?? null;
  assert.ok(
    existsSync(join(dir, 'index.html')),
    `There is no site in ${dir}: build it with npm run build in www/`,
  );
  assert.ok(
    models !== null || existsSync(join(dir, 'models')),
    `${dir} has no models: build the packs or set TAREAS_MODELS`,
  );
  return serve({ dir, models });
}

/**
 * `microphone`: a WAV file that the browser's imitation of a microphone plays, over and over;
 * `camera`: a file of `cameraFile`.
 */
export function startChromium({ webgpu = false, microphone = null, camera = null } = {}) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const args = [...QUIET];
  if (webgpu) args.push(...WEBGPU);
  if (microphone) args.push(`--use-file-for-fake-audio-capture=${microphone}`);
  if (camera) args.push(`--use-file-for-fake-video-capture=${camera}`);
  return chromium.launch({ executablePath, args });
}

/**
 * Opens a panel in a context of its own: nothing is remembered from other tests. What the page writes to
 * the console, its uncaught errors and its policy violations are collected in `page.complaints`.
 */
export async function openPanel(browser, site, panel, options = {}) {
  const { device = 'wasm', dtype = 'auto', lang = 'en', theme = 'light', width = 1280, hub = null } = options;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    locale: lang,
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(SLOW);
  if (hub) await context.route('https://huggingface.co/**', hub);
  await context.addInitScript(
    ([device, dtype]) => {
      localStorage.setItem('tareas.device', device);
      localStorage.setItem('tareas.dtype', dtype);
    },
    [device, dtype],
  );
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`uncaught: ${error.stack ?? error}`));
  page.on('console', (message) => {
    // A 404 is how the page learns that a repository lacks an optional file.
    if (message.type() === 'error' && !/status of 404/.test(message.text()))
      page.complaints.push(message.text());
  });
  await page.goto(panel === null ? site.address : `${site.address}#/${panel}`);
  return page;
}

/** The panel on show. */
export function panelOf(page) {
  return page.locator('article.panel:not([hidden])');
}

/** Waits for the end of whatever runs, and for it to have been an answer. */
export async function answered(page) {
  const panel = panelOf(page);
  await panel.and(page.locator('[aria-busy="false"]')).waitFor();
  const problem = panel.locator('.notice.error');
  if (await problem.count()) assert.fail(`The panel shows an error: ${await problem.innerText()}`);
  await panel.locator('.output:not([hidden])').waitFor();
}

/** Answers as the panel's first: waits until the model is ready, too. */
export async function firstAnswer(page) {
  await page
    .locator('article.panel:not([hidden])[data-state="ready"][aria-busy="false"]')
    .or(panelOf(page).locator('.notice.error'))
    .first()
    .waitFor();
  await answered(page);
}

/** Picks a model by its id on the hub, by way of the dialog. */
export async function useModel(page, id) {
  await panelOf(page).getByRole('button', { name: 'Change model' }).click();
  await page.getByLabel('Model id').fill(id);
  await page.getByRole('button', { name: 'Use', exact: true }).click();
}

/** Drops a file from the disk on an element. */
export async function dropFile(page, target, path) {
  await target.scrollIntoViewIfNeeded();
  const box = await target.boundingBox();
  const cdp = await page.context().newCDPSession(page);
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    const data = { items: [], files: [path], dragOperationsMask: 1 };
    await cdp.send('Input.dispatchDragEvent', { type, x: box.x + 5, y: box.y + 5, data });
  }
}

/** Bars as `{label, value}`. */
export async function readBars(page) {
  const bars = panelOf(page).locator('.bars .bar');
  return bars.evaluateAll((items) =>
    items.map((item) => ({
      label: item.querySelector('.bar-label').textContent,
      value: Number.parseFloat(item.querySelector('.bar-value').textContent),
    })),
  );
}

/** Entities as `[text, label]`. */
export async function readEntities(page) {
  const marks = panelOf(page).locator('mark.entity');
  return marks.evaluateAll((items) => items.map((item) => [item.firstChild.textContent, item.dataset.label]));
}
