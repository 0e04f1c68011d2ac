/**
 * Builds the npm package into ../pkg: bundles, types, the two wasm builds, package.json.
 *
 *   node build.mjs [--wasm DIR] [--out DIR]
 *
 * The wasm folder (default ../target/wasm) holds `{simd,relaxed}/tareas_bg.wasm` and `tareas.js`
 * as wasm-bindgen and wasm-opt leave them (`cargo xtask build` does all of it).
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { wrapGlue } from './glue.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..');
const BUILDS = ['simd', 'relaxed'];

function option(name, fallback) {
  const at = process.argv.indexOf(name);
  return at < 0 ? fallback : resolve(process.argv[at + 1]);
}

/** The version is written once, in Cargo.toml. */
export function version() {
  const toml = readFileSync(join(root, 'Cargo.toml'), 'utf8');
  const found = /\[workspace\.package\][^[]*?\nversion = "([^"]+)"/.exec(toml);
  if (!found) throw new Error('Cargo.toml has no [workspace.package] version');
  return found[1];
}

/** Serves `glue/simd.js` and `glue/relaxed.js`; one text where the builds' glue is the same. */
function gluePlugin(wasmDir) {
  return {
    name: 'glue',
    setup(plugin) {
      const text = (name) => readFileSync(join(wasmDir, name, 'tareas.js'), 'utf8');
      plugin.onResolve({ filter: /\/glue\/(simd|relaxed)\.js$/ }, ({ path }) => {
        const name = /(\w+)\.js$/.exec(path)[1];
        const same = text('simd') === text('relaxed');
        return { path: same ? 'simd' : name, namespace: 'glue', sideEffects: false };
      });
      plugin.onLoad({ filter: /.*/, namespace: 'glue' }, ({ path }) => ({
        contents: wrapGlue(text(path), path),
        loader: 'js',
      }));
    },
  };
}

/** Swaps modules: `{ './platform.js': 'platform-node.ts' }`. */
export function swapPlugin(swaps) {
  return {
    name: 'swap',
    setup(plugin) {
      for (const [from, to] of Object.entries(swaps)) {
        const filter = new RegExp(`/${from.replaceAll('.', '\\.')}$`);
        plugin.onResolve({ filter }, ({ importer }) =>
          importer.endsWith(to) ? undefined : { path: join(here, 'src', to) },
        );
      }
    },
  };
}

const NODE = { 'platform.js': 'platform-node.ts' };

/** Every bundle is one file without shared pieces, so that a page which copies files by hand copies few. */
export async function bundle(out, wasmDir, { minify = true } = {}) {
  const common = {
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify,
    legalComments: 'none',
    define: { __VERSION__: JSON.stringify(version()) },
    outdir: out,
    logLevel: 'warning',
  };
  const src = (name) => join(here, 'src', name);
  const one = (entry, name, { swaps = {}, ...more } = {}) =>
    build({
      ...common,
      ...more,
      entryPoints: [{ in: src(entry), out: name }],
      plugins: [swapPlugin(swaps), ...(more.plugins ?? []), gluePlugin(wasmDir)],
    });
  /** The engine's side stays a file of its own, loaded when it is wanted. */
  const external = (to) => ({
    name: 'external',
    setup: (plugin) =>
      plugin.onResolve({ filter: /\/core\.js$/ }, () => ({ path: `./${to}`, external: true })),
  });
  const node = { platform: 'node', swaps: NODE };
  await Promise.all([
    one('index.ts', 'index', { plugins: [external('core.js')] }),
    one('core.ts', 'core'),
    one('worker.ts', 'worker'),
    one('media/worklet.ts', 'worklet'),
    one('index.ts', 'inline', { swaps: { 'inline-service.js': 'inline-static.ts' } }),
    one('index.ts', 'node', { ...node, plugins: [external('node-core.js')] }),
    one('core.ts', 'node-core', node),
    one('worker-node.ts', 'node-worker', node),
    one('cli/main.ts', 'cli', { ...node, banner: { js: '#!/usr/bin/env node' } }),
  ]);
}

function packageJson() {
  return {
    name: 'tareas',
    version: version(),
    description: 'Hugging Face models in the browser: WebGPU and SIMD WebAssembly, straight from safetensors',
    keywords: [
      'huggingface',
      'transformers',
      'bert',
      'webgpu',
      'wasm',
      'nlp',
      'embeddings',
      'machine-learning',
    ],
    license: 'Apache-2.0',
    type: 'module',
    main: './node.js',
    module: './index.js',
    browser: './index.js',
    types: './types/index.d.ts',
    bin: { tareas: './cli.js' },
    sideEffects: false,
    engines: { node: '>=20' },
    exports: {
      '.': { types: './types/index.d.ts', browser: './index.js', node: './node.js', default: './index.js' },
      './inline': {
        types: './types/index.d.ts',
        browser: './inline.js',
        node: './node.js',
        default: './inline.js',
      },
      './worker': './worker.js',
      './worklet': './worklet.js',
      './tareas.simd.wasm': './tareas.simd.wasm',
      './tareas.relaxed.wasm': './tareas.relaxed.wasm',
      './package.json': './package.json',
    },
    files: ['*.js', '*.wasm', 'types', 'README.md', 'LICENSE'],
  };
}

/** Drops declarations of modules that no public type refers to. */
function pruneTypes(folder) {
  const wanted = new Set();
  const visit = (file) => {
    if (wanted.has(file)) return;
    wanted.add(file);
    for (const [, from] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)\.js['"]/g)) {
      visit(join(dirname(file), `${from}.d.ts`));
    }
  };
  visit(join(folder, 'index.d.ts'));
  for (const name of readdirSync(folder, { recursive: true })) {
    const file = join(folder, name);
    if (file.endsWith('.d.ts') && !wanted.has(file)) rmSync(file);
  }
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory() && readdirSync(path).length === 0) rmSync(path, { recursive: true });
  }
}

function sizes(out, names) {
  const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} kB`;
  for (const name of names) {
    const bytes = readFileSync(join(out, name));
    console.log(
      `${name.padEnd(22)} ${kilobytes(bytes.length).padStart(10)}  brotli ${kilobytes(brotliCompressSync(bytes).length)}`,
    );
  }
}

async function main() {
  const wasmDir = option('--wasm', join(root, 'target', 'wasm'));
  const out = option('--out', join(root, 'pkg'));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await bundle(out, wasmDir);
  execFileSync(
    join(here, 'node_modules', '.bin', 'tsc'),
    ['-p', 'tsconfig.types.json', '--outDir', join(out, 'types')],
    {
      cwd: here,
      stdio: 'inherit',
    },
  );
  pruneTypes(join(out, 'types'));
  for (const name of BUILDS) {
    cpSync(join(wasmDir, name, 'tareas_bg.wasm'), join(out, `tareas.${name}.wasm`));
  }
  writeFileSync(join(out, 'package.json'), JSON.stringify(packageJson(), null, 2) + '\n');
  for (const name of ['LICENSE', 'README.md']) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(out, name));
  }
  sizes(out, [
    'index.js',
    'worker.js',
    'worklet.js',
    'core.js',
    'inline.js',
    'node.js',
    'cli.js',
    ...BUILDS.map((name) => `tareas.${name}.wasm`),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
