/**
 * Builds the site into dist/. The package is copied beside it and imported as it is, from
 * `tareas/`: what is served is what npm gets, with no bundler in between.
 *
 *   node build.mjs [--pkg DIR]
 */
import { brotliCompressSync, constants } from 'node:zlib';
import { cp, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import esbuild from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { pkg: { type: 'string' } } });
const pkg = resolve(values.pkg ?? join(here, '../pkg'));
const dist = join(here, 'dist');

if (!existsSync(join(pkg, 'package.json'))) {
  console.error(`There is no package in ${pkg}: run 'cargo xtask build' first.`);
  process.exit(1);
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await cp(join(here, 'index.html'), join(dist, 'index.html'));
await cp(join(here, 'assets'), dist, { recursive: true });
if (existsSync(join(here, 'models')))
  await cp(join(here, 'models'), join(dist, 'models'), { recursive: true });

const entry = await copyPackage();
const common = { bundle: true, minify: true, target: 'es2022', logLevel: 'warning', legalComments: 'none' };
await esbuild.build({
  ...common,
  entryPoints: [join(here, 'src/main.ts')],
  outdir: dist,
  format: 'esm',
  sourcemap: true,
  define: { ENGINE_BYTES: String(await engineBytes()) },
  plugins: [packagePlugin()],
});
await esbuild.build({ ...common, entryPoints: [join(here, 'src/early.ts')], outdir: dist, format: 'iife' });
await esbuild.build({
  ...common,
  entryPoints: [join(here, 'styles/main.css')],
  outdir: dist,
  external: ['*.woff2', '*.svg'],
});

/** `import 'tareas'` becomes an import of the copied package. */
function packagePlugin() {
  return {
    name: 'tareas',
    setup(build) {
      build.onResolve({ filter: /^tareas$/ }, () => ({ path: `./tareas/${entry}`, external: true }));
    },
  };
}

/** The parts that a browser asks for. */
async function copyPackage() {
  const manifest = JSON.parse(await readFile(join(pkg, 'package.json'), 'utf8'));
  await mkdir(join(dist, 'tareas'));
  for (const name of await readdir(pkg)) {
    if (/^(index|worker|worklet|core)\.js$|\.wasm$|^LICENSE$/.test(name))
      await cp(join(pkg, name), join(dist, 'tareas', name));
  }
  return manifest.exports['.'].browser.replace(/^\.\//, '');
}

/** What one visitor downloads, under brotli: the entry, the worker and one of the wasm builds (the larger). */
async function engineBytes() {
  const folder = join(dist, 'tareas');
  const size = async (name) => {
    const bytes = await readFile(join(folder, name));
    return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }).length;
  };
  const names = await readdir(folder);
  const scripts = await Promise.all(names.filter((name) => /^(index|worker)\.js$/.test(name)).map(size));
  const builds = await Promise.all(names.filter((name) => name.endsWith('.wasm')).map(size));
  return scripts.reduce((sum, bytes) => sum + bytes, 0) + Math.max(0, ...builds);
}
