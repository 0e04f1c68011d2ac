/** The packed tarball through bundlers and without one, each result run in Chromium. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'node:test';
import { build as esbuild } from 'esbuild';
import { build as viteBuild, createServer } from 'vite';
import webpack from 'webpack';
import { APP, bin, html, openBrowser, openPage, packedFiles, project, serveApp } from '../support.mjs';

/** Copies what esbuild leaves alone, as the documentation says. */
function copyAssets(folder, to) {
  const installed = join(folder, 'node_modules', 'tareas');
  for (const name of readdirSync(installed)) {
    if (/^worker\.js$|\.wasm$/.test(name)) cpSync(join(installed, name), join(to, name));
  }
}

const BUNDLERS = {
  async vite() {
    const folder = project('vite', { 'index.html': html('/main.js'), 'main.js': APP });
    await viteBuild({ root: folder, logLevel: 'warn', build: { outDir: 'dist', modulePreload: false } });
    return join(folder, 'dist');
  },
  async webpack() {
    const folder = project('webpack', { 'dist/index.html': html('/main.js'), 'src/index.js': APP });
    const stats = await promisify(webpack)({
      context: folder,
      mode: 'production',
      entry: './src/index.js',
      output: { path: join(folder, 'dist'), publicPath: '/' },
      performance: { hints: false },
    });
    assert.equal(stats.hasErrors() || stats.hasWarnings(), false, stats.toString());
    return join(folder, 'dist');
  },
  async esbuild() {
    const folder = project('esbuild', { 'dist/index.html': html('/main.js'), 'main.js': APP });
    const out = join(folder, 'dist');
    const options = { bundle: true, format: 'esm', minify: true, outdir: out, logLevel: 'warning' };
    await esbuild({ ...options, absWorkingDir: folder, entryPoints: ['main.js'] });
    copyAssets(folder, out);
    return out;
  },
  async 'no bundler'() {
    // A strict policy allows no inline import map: the import is by path.
    const main = APP.replace("'tareas'", "'/node_modules/tareas/index.js'");
    return project('plain', { 'index.html': html('/main.js'), 'main.js': main });
  },
};

describe('bundlers', () => {
  let browser;
  let reference = null;
  before(async () => (browser = await openBrowser()));
  after(() => browser.close());

  /** In a worker and in the page, on the CPU and with the device left open; the same answer everywhere. */
  async function check(url) {
    const { page, problems } = await openPage(browser, url);
    const run = (options) => page.evaluate((given) => globalThis.run(given), options);
    for (const options of [{ device: 'wasm' }, { device: 'wasm', worker: false }, {}]) {
      const { data, dims, info, notices } = await run(options);
      assert.deepEqual(dims, [1, 36]);
      assert.equal(info.worker, options.worker ?? true, notices.join());
      if (options.device) assert.equal(info.device, 'wasm');
      reference ??= data;
      data.forEach((value, index) => assert.ok(Math.abs(value - reference[index]) < 1e-3));
    }
    assert.deepEqual(problems, []);
    await page.close();
  }

  for (const [name, build] of Object.entries(BUNDLERS)) {
    it(name, async () => {
      const hub = await serveApp(await build());
      try {
        await check(`${hub.url}index.html`);
      } finally {
        await hub.close();
      }
    });
  }

  it('vite, development server', async () => {
    const hub = await serveApp(null);
    const main = APP.replace("location.origin + '/'", JSON.stringify(hub.url));
    const folder = project('vite-dev', { 'index.html': html('/main.js'), 'main.js': main });
    const server = await createServer({
      root: folder,
      logLevel: 'warn',
      server: { port: 0, host: '127.0.0.1', hmr: false },
      optimizeDeps: { exclude: ['tareas'] },
    });
    await server.listen();
    try {
      const { page } = await openPage(browser, server.resolvedUrls.local[0]);
      const { info, dims } = await page.evaluate(() => globalThis.run({ device: 'wasm' }));
      assert.deepEqual([dims, info.worker], [[1, 36], true]);
      await page.close();
    } finally {
      await server.close();
      await hub.close();
    }
  });

  it('a service worker, from tareas/inline', async () => {
    const worker = `
      import { env, pipeline } from 'tareas/inline';
      env.remoteHost = location.origin + '/';
      addEventListener('install', () => skipWaiting());
      addEventListener('activate', (event) => event.waitUntil(clients.claim()));
      addEventListener('message', (event) => event.waitUntil((async () => {
        const pipe = await pipeline('feature-extraction', 'goldens/bert-encoder', { device: 'wasm' });
        const { dims } = await pipe('hello', { pooling: 'mean' });
        event.source.postMessage({ dims, worker: pipe.info().worker });
        await pipe.dispose();
      })().catch((error) => event.source.postMessage({ error: String(error) }))));`;
    const main = `
      navigator.serviceWorker.register('/sw.js', { type: 'module' });
      globalThis.run = async () => {
        const { active } = await navigator.serviceWorker.ready;
        return new Promise((resolve) => {
          navigator.serviceWorker.addEventListener('message', (event) => resolve(event.data));
          active.postMessage('go');
        });
      };
      globalThis.ready = true;`;
    const folder = project('service-worker', {
      'dist/index.html': html('/main.js'),
      'dist/main.js': main,
      'sw.js': worker,
    });
    const out = join(folder, 'dist');
    await esbuild({
      absWorkingDir: folder,
      entryPoints: ['sw.js'],
      bundle: true,
      format: 'esm',
      outdir: out,
      logLevel: 'warning',
    });
    copyAssets(folder, out);
    const hub = await serveApp(out, { csp: false });
    try {
      const { page } = await openPage(browser, `${hub.url}index.html`);
      assert.deepEqual(await page.evaluate(() => globalThis.run()), { dims: [1, 36], worker: false });
      await page.close();
    } finally {
      await hub.close();
    }
  });
});

describe('tarball', () => {
  it('holds what it should and nothing else', () => {
    const files = packedFiles().filter((name) => !name.startsWith('types/'));
    const wanted = [
      'LICENSE',
      'README.md',
      'cli.js',
      'core.js',
      'index.js',
      'inline.js',
      'node-core.js',
      'node-worker.js',
      'node.js',
    ];
    const rest = ['package.json', 'tareas.relaxed.wasm', 'tareas.simd.wasm', 'worker.js', 'worklet.js'];
    const optional = new Set(['README.md']);
    assert.deepEqual(
      files.filter((name) => !optional.has(name)).sort(),
      [...wanted, ...rest].filter((name) => !optional.has(name)).sort(),
    );
    assert.ok(packedFiles().includes('types/index.d.ts'));
  });

  for (const [name, compilerOptions] of Object.entries({
    bundler: { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'] },
    nodenext: { module: 'nodenext', moduleResolution: 'nodenext', lib: ['es2022', 'dom'] },
  })) {
    it(`has types for strict TypeScript, ${name}`, () => {
      const main = `
        import { pipeline, env, TareasError, type Pipeline } from 'tareas';
        env.allowLocalModels = true;
        const tag: Pipeline<'ner'> = await pipeline('ner', 'owner/name', { dtype: 'q8' });
        const groups = await tag('x', { aggregation_strategy: 'simple' });
        const names: string[] = groups.map((group) => group.entity_group);
        // @ts-expect-error no such option
        await tag('x', { top_k: 1 });
        export { names, TareasError };`;
      const options = {
        strict: true,
        noEmit: true,
        target: 'es2022',
        skipLibCheck: false,
        types: [],
        ...compilerOptions,
      };
      const folder = project(`types-${name}`, {
        'main.ts': main,
        'tsconfig.json': JSON.stringify({ compilerOptions: options, files: ['main.ts'] }),
      });
      execFileSync(bin('tsc'), ['-p', folder], { stdio: 'inherit' });
    });
  }
});
