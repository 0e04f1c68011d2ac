/** The packed tarball, unpacked into small projects as npm would; a page of each in Chromium. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';
import { goldenModels } from './goldens.mjs';
import { startHub } from './server/hub.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const work = join(root, 'target', 'consume');
export const bin = (name) => join(root, 'pkg-tests', 'node_modules', '.bin', name);

let tarball = null;

/** `npm pack` of ../pkg, once. */
function pack() {
  if (tarball) return tarball;
  mkdirSync(work, { recursive: true });
  const list = execFileSync('npm', ['pack', '--json', '--pack-destination', work], {
    cwd: join(root, 'pkg'),
    encoding: 'utf8',
  });
  const parsed = JSON.parse(list);
  const [entry] = Array.isArray(parsed) ? parsed : Object.values(parsed);
  tarball = { path: join(work, entry.filename), files: entry.files.map(({ path }) => path) };
  return tarball;
}

/** What npm would publish. */
export const packedFiles = () => pack().files;

/** A fresh project with the package installed and these files. */
export function project(name, files) {
  const folder = join(work, name);
  rmSync(folder, { recursive: true, force: true });
  const installed = join(folder, 'node_modules', 'tareas');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', pack().path, '-C', installed, '--strip-components=1']);
  const all = { 'package.json': '{"name": "app", "private": true, "type": "module"}', ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** An app that answers `run(options)` with what a pipeline says and how it runs. */
export const APP = `
import { env, pipeline } from 'tareas';
env.remoteHost = location.origin + '/';
globalThis.run = async (options) => {
  const notices = [];
  const pipe = await pipeline('feature-extraction', 'goldens/bert-encoder', {
    dtype: 'fp32',
    ...options,
    progress_callback: (event) => event.status === 'notice' && notices.push(event.message),
  });
  const { data, dims } = await pipe('hello', { pooling: 'mean' });
  const info = pipe.info();
  await pipe.dispose();
  return { data: [...data], dims, info, notices };
};
globalThis.ready = true;
`;

export const html = (script) =>
  `<!doctype html><meta charset="utf-8"><title>App</title><script type="module" src="${script}"></script>`;

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// SwiftShader compiles the zeroing of workgroup memory into one store per word: a tiled kernel takes
// seconds with it and a tenth of one without. No shader here reads what it has not written.
const SOFTWARE_GPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-dawn-features=disable_workgroup_init',
];

/** Chromium, with WebGPU on its software adapter unless `gpu` is false. */
export function openBrowser({ gpu = true } = {}) {
  const args = gpu ? [...FLAGS, ...SOFTWARE_GPU] : [...FLAGS, '--disable-features=WebGPU'];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
}

const firefox = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

/** Why there is no Firefox to test in; false where there is one. */
export const noFirefox = existsSync(firefox) ? false : `there is no ${firefox}`;

/** Firefox. Playwright needs one of its own; Puppeteer drives the distribution's by WebDriver BiDi. */
export const openFirefox = () =>
  puppeteer.launch({ browser: 'firefox', executablePath: firefox, args: ['--headless'] });

/** Everything that a page of this app may load: itself. */
const CSP =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'";

/** Serves a built app with the golden models on one origin, under a strict policy. */
export function serveApp(staticRoot, { csp = true, models = {} } = {}) {
  return startHub({
    models: { ...goldenModels(), ...models },
    staticRoot,
    pageHeaders: csp ? { 'content-security-policy': CSP } : {},
  });
}

/** Opens a page; collects its errors and the requests that leave its origin. */
export async function openPage(browser, url) {
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on(
    'console',
    (message) =>
      message.type() === 'error' && !/404|favicon/.test(message.text()) && problems.push(message.text()),
  );
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith('data:'))
      problems.push(request.url());
  });
  await page.goto(url);
  await page.waitForFunction(() => globalThis.ready, null, { timeout: 30_000 });
  return { page, problems };
}
