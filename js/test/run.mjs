/** Bundles the tests with the fake engine in place of the wasm, and runs them. `node test/run.mjs [name…]` */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { swapPlugin, version } from '../build.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '..', '..', 'target', 'js-test');
const wanted = process.argv.slice(2);
const tests = readdirSync(here).filter((name) => name.endsWith('.test.ts'));
const chosen = wanted.length > 0 ? tests.filter((name) => wanted.some((part) => name.includes(part))) : tests;

rmSync(out, { recursive: true, force: true });
const fakeCore = {
  name: 'fake-core',
  setup: (plugin) =>
    plugin.onResolve({ filter: /\/core\.js$/ }, () => ({ path: join(here, 'fake-core.ts') })),
};
await build({
  entryPoints: [...chosen, 'fake-worker.ts'].map((name) => ({
    in: join(here, name),
    out: name.replace(/\.ts$/, ''),
  })),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'warning',
  define: { __VERSION__: JSON.stringify(version()) },
  plugins: [swapPlugin({ 'platform.js': 'platform-node.ts' }), fakeCore],
});
const files = chosen.map((name) => join(out, name.replace(/\.ts$/, '.mjs')));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
