// `cargo xtask bench [--only MODEL] [--json FILE]`: tareas, onnxruntime-web and transformers.js in
// one headless Chromium page, in turn; prints medians as a Markdown table.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { serve } from './server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

/** The peers' models are exported from the same seeded weights by bench/export/export_onnx.py. */
const MODELS = { 'minilm-l6': 12, 'distilbert-base': 8, 'bert-base': 6 }; // name: rounds

const { values: args } = parseArgs({
  options: {
    only: { type: 'string' },
    json: { type: 'string' },
    models: { type: 'string', default: join(root, 'target/bench-models') },
    length: { type: 'string', default: '128' },
    rounds: { type: 'string' },
    device: { type: 'string', default: 'wasm' },
    engines: { type: 'string', default: 'tareas,onnxruntime-web,transformers.js' },
    chromium: { type: 'string', default: process.env.CHROMIUM ?? '/usr/bin/chromium' },
  },
});

const DTYPES = { wasm: ['fp32', 'q8', 'q4'], webgpu: ['fp32', 'q4'] };
const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const WEBGPU_FLAGS = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

function cases(device) {
  const engines = args.engines.split(',');
  const rows = [];
  for (const engine of engines) {
    // transformers.js runs the same onnxruntime kernels: its default dtype stands for it.
    const dtypes = engine === 'transformers.js' ? [device === 'wasm' ? 'q8' : 'fp32'] : DTYPES[device];
    if (engine === 'tareas' && device === 'webgpu') dtypes.push('q8');
    for (const dtype of dtypes) rows.push({ engine, device, dtype, threads: 1 });
  }
  return rows;
}

function summarize({ times, ...row }) {
  const sorted = [...times].sort((a, b) => a - b);
  const round = (ms) => Math.round(ms * 100) / 100;
  const middle = sorted.length / 2;
  const median = sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
  return {
    ...row,
    median_ms: times.length ? round(median) : null,
    min_ms: times.length ? round(sorted[0]) : null,
    max_ms: times.length ? round(sorted.at(-1)) : null,
    runs: times.length,
    load_ms: row.load_ms && Math.round(row.load_ms),
  };
}

/** The table of one model; speed is against the fastest onnxruntime-web row. */
function table(rows) {
  const peer = Math.min(...rows.filter((r) => r.engine === 'onnxruntime-web' && r.median_ms).map((r) => r.median_ms));
  const lines = ['| model | engine | device | dtype | median ms | min | max | runs | against onnxruntime-web\'s best |', '|---|---|---|---|---|---|---|---|---|'];
  for (const r of rows) {
    const cells = r.error
      ? [r.error.slice(0, 80), '', '', '', '']
      : [r.median_ms, r.min_ms, r.max_ms, r.runs, Number.isFinite(peer) ? `${(peer / r.median_ms).toFixed(2)}x` : ''];
    lines.push(`| ${[r.model, r.engine, r.device, r.dtype, ...cells].join(' | ')} |`);
  }
  return lines.join('\n');
}

if (!existsSync(args.models)) {
  console.error(`no models at ${args.models}: make them with bench/export/export_onnx.py (see tools/README.md), or pass --models DIR`);
  process.exit(1);
}
const server = await serve({
  '/bench/': here,
  '/peers/': join(here, 'node_modules'),
  '/pkg/': join(root, 'pkg'),
  '/models/': args.models,
});
const all = [];
try {
  for (const [model, rounds] of Object.entries(MODELS)) {
    if (args.only && args.only !== model) continue;
    const browser = await chromium.launch({
      executablePath: args.chromium,
      args: args.device === 'webgpu' ? [...FLAGS, ...WEBGPU_FLAGS] : FLAGS,
    });
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(`page: ${error.message}`));
    await page.goto(`${server.url}/bench/index.html`);
    await page.waitForFunction(() => globalThis.ready);
    const rows = await page.evaluate((options) => globalThis.bench(options), {
      model,
      cases: cases(args.device),
      length: Number(args.length),
      warmup: 2,
      rounds: Number(args.rounds ?? rounds),
      budgetMs: 240_000,
    });
    const summary = rows.map(summarize);
    all.push(...summary);
    console.log(`\n${table(summary)}`);
    await browser.close();
  }
} finally {
  await server.close();
}
if (args.json) await writeFile(args.json, `${JSON.stringify(all, null, 2)}\n`);
