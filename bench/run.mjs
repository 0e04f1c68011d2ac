// `cargo xtask bench [--only MODEL,...] [--json FILE] [--memory]`: tareas, onnxruntime-web and
// transformers.js in one headless Chromium page, in turn; prints medians as a Markdown table.
//
// tareas and transformers.js are timed as their users call them: the whole task, with tokenization or
// preprocessing and the result. onnxruntime-web is timed on `session.run` alone, its inputs prepared.
// With --memory every row is loaded once more, alone in a fresh page, and the size of its wasm memory
// after one call is the row's peak_mb. --profile prints where tareas' time goes, op by op.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { MODELS } from './models.mjs';
import { serve } from './server.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

const { values: args } = parseArgs({
  options: {
    only: { type: 'string' },
    json: { type: 'string' },
    models: { type: 'string', default: join(root, 'target/bench-models') },
    rounds: { type: 'string' },
    device: { type: 'string', default: 'wasm' },
    dtypes: { type: 'string' },
    memory: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    pkg: { type: 'string', default: join(root, 'pkg') },
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

/** The rows of a case: engine by engine, dtype by dtype. */
function rowsOf(spec, device) {
  const ours = device === 'webgpu' ? [...DTYPES.webgpu, 'q8'] : DTYPES.wasm;
  const dtypes = {
    tareas: ours,
    'onnxruntime-web': DTYPES[device].filter((dtype) => spec.peers.includes(dtype)),
    // the same kernels of onnxruntime: its default dtype stands for it
    'transformers.js': spec.transformersjs === false ? [] : [device === 'wasm' ? 'q8' : 'fp32'],
  };
  const wanted = args.dtypes?.split(',');
  return args.engines
    .split(',')
    .flatMap((engine) =>
      dtypes[engine]
        .filter((dtype) => !wanted || wanted.includes(dtype))
        .map((dtype) => ({ engine, device, dtype, threads: 1 })),
    );
}

function summarize({ times, ops, ...row }) {
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

/** The table of one case; speed is against the fastest onnxruntime-web row. */
function table(rows) {
  const peer = Math.min(
    ...rows.filter((r) => r.engine === 'onnxruntime-web' && r.median_ms).map((r) => r.median_ms),
  );
  const lines = [
    "| model | case | engine | device | dtype | median ms | min | max | runs | against onnxruntime-web's best | peak MB |",
    '|---|---|---|---|---|---|---|---|---|---|---|',
  ];
  for (const r of rows) {
    const cells = r.error
      ? [r.error.slice(0, 80), '', '', '', '']
      : [
          r.median_ms,
          r.min_ms,
          r.max_ms,
          r.runs,
          Number.isFinite(peer) ? `${(peer / r.median_ms).toFixed(2)}x` : '',
        ];
    lines.push(
      `| ${[r.model, r.case, r.engine, r.device, r.dtype, ...cells, r.peak_mb ?? ''].join(' | ')} |`,
    );
  }
  return lines.join('\n');
}

/** tareas' time op by op, slowest first. */
function profile({ dtype, ops }) {
  const total = ops.reduce((sum, op) => sum + op.ms, 0);
  const shown = ops.map(({ op, ms, calls }) => `${op} ${ms.toFixed(1)} (${calls})`);
  return `${dtype}: ${total.toFixed(1)} ms in ops: ${shown.join(', ')}`;
}

if (!existsSync(args.models)) {
  console.error(
    `no models at ${args.models}: make them with bench/export/export_onnx.py (see tools/README.md), or pass --models DIR`,
  );
  process.exit(1);
}
const server = await serve({
  '/bench/': here,
  '/peers/': join(here, 'node_modules'),
  '/pkg/': args.pkg,
  '/models/': args.models,
});
/** Calls `f(page)` with the benchmark page in a browser of its own. */
async function inPage(f) {
  const browser = await chromium.launch({
    executablePath: args.chromium,
    args: args.device === 'webgpu' ? [...FLAGS, ...WEBGPU_FLAGS] : FLAGS,
  });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(`page: ${error.message}`));
    await page.goto(`${server.url}/bench/index.html`);
    await page.waitForFunction(() => globalThis.ready);
    return await f(page);
  } finally {
    await browser.close();
  }
}

const wanted = args.only?.split(',');
const unknown = wanted?.filter((model) => !MODELS[model]);
if (unknown?.length) {
  console.error(`no model ${unknown}; there are ${Object.keys(MODELS).join(', ')}`);
  process.exit(1);
}
const all = [];
try {
  for (const [model, { rounds, cases }] of Object.entries(MODELS)) {
    if (wanted && !wanted.includes(model)) continue;
    if (!existsSync(join(args.models, model))) {
      console.log(`\n${model}: not in ${args.models}; bench/export/export_onnx.py --only ${model} makes it`);
      continue;
    }
    for (const [name, spec] of Object.entries(cases)) {
      const rows = await inPage((page) =>
        page.evaluate((options) => globalThis.bench(options), {
          model,
          name,
          rows: rowsOf(spec, args.device).map((row) => ({ ...row, profile: args.profile })),
          warmup: 2,
          rounds: Number(args.rounds ?? rounds),
          budgetMs: 240_000,
        }),
      );
      const summary = rows.map(({ profile, ...row }) => summarize({ model, case: name, ...row }));
      for (const row of args.memory ? summary : []) {
        if (row.error) continue;
        const bytes = await inPage((page) => page.evaluate((o) => globalThis.peak(o), { model, name, row }));
        row.peak_mb = Math.round(bytes / 1e6);
      }
      all.push(...summary);
      console.log(`\n${table(summary)}`);
      for (const row of rows) if (row.ops) console.log(profile(row));
    }
  }
} finally {
  await server.close();
}
if (args.json) await writeFile(args.json, `${JSON.stringify(all, null, 2)}\n`);
