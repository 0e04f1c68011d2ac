/**
 * Builds the site into dist/. The package is copied beside it and imported as it is, from
 * `tareas/`: what is served is what npm gets, with no bundler in between.
 *
 *   node build.mjs [--pkg DIR] [--mock]
 */
import { brotliCompressSync, constants } from 'node:zlib';
import { cp, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import esbuild from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { pkg: { type: 'string' }, mock: { type: 'boolean', default: false } } });
const pkg = resolve(values.pkg ?? join(here, '../pkg'));
const dist = join(here, 'dist');

if (!values.mock && !existsSync(join(pkg, 'package.json'))) {
  console.error(`There is no package in ${pkg}: run 'cargo xtask build' first.`);
  process.exit(1);
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await cp(join(here, 'index.html'), join(dist, 'index.html'));
await cp(join(here, 'assets'), dist, { recursive: true });
if (existsSync(join(here, 'models'))) await cp(join(here, 'models'), join(dist, 'models'), { recursive: true });

const entry = values.mock ? null : await copyPackage();
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

/** `import 'tareas'` becomes an import of the copied package, or of the mock. */
function packagePlugin() {
  return {
    name: 'tareas',
    setup(build) {
      build.onResolve({ filter: /^tareas$/ }, () =>
        entry === null ? { path: join(here, 'mock/tareas.ts') } : { path: `./tareas/${entry}`, external: true },
      );
    },
  };
}

async function copyPackage() {
  const manifest = JSON.parse(await readFile(join(pkg, 'package.json'), 'utf8'));
  await cp(pkg, join(dist, 'tareas'), { recursive: true, filter: (path) => !/\.(tgz|d\.ts|map)$|node_modules/.test(path) });
  const main = manifest.exports?.['.'];
  return (main?.browser ?? main?.import ?? main?.default ?? manifest.module ?? manifest.main).replace(/^\.\//, '');
}

/** What one visitor downloads: the JavaScript and one of the wasm builds (the largest), under brotli. */
async function engineBytes() {
  if (values.mock) return 0;
  const paths = await readdir(join(dist, 'tareas'), { recursive: true });
  const size = async (path) =>
    brotliCompressSync(await readFile(join(dist, 'tareas', path)), { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })
      .length;
  const sizes = (suffix) => Promise.all(paths.filter((path) => path.endsWith(suffix)).map(size));
  const scripts = (await sizes('.js')).reduce((sum, bytes) => sum + bytes, 0);
  return scripts + Math.max(0, ...(await sizes('.wasm')));
}
