// Builds the kernels for both wasm builds, times them in headless Chromium, prints Markdown.
//   node bench/kernels/run.mjs [--no-build] [--only relaxed|simd] [--cases REGEXP] [--rounds 20]
// CARGO ("cargo +web build -Z build-std=std,panic_abort" where rustup has no wasm target),
// CHROMIUM (a path) are environment variables.
import http from 'node:http';
import { execSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const target = process.env.CARGO_TARGET_DIR ?? path.join(here, 'target');
const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : null);
const only = option('--only');
const builds = { relaxed: '+simd128,+relaxed-simd', simd: '+simd128' };

const chromium = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
const flags = ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-gpu',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// Runs in a worker. Best times: what the machine can do while others use it too.
const worker = `(${async function (cases, rounds) {
  const { instance: { exports: x } } = await WebAssembly.instantiateStreaming(fetch('/kernels.wasm'));
  const rows = [];
  const add = (name, prepare, run) => {
    if (!cases.test(name)) return;
    const id = prepare();
    rows.push({ name, run: () => run(id), ms: [] });
  };
  ['mul+add f32', 'dot i16', 'relaxed madd f32', 'relaxed dot i8, quads', 'relaxed dot i8, pairs in 16 bits'].forEach((name, i) => {
    if (x.bare_loop(i)) add('bare: ' + name, () => i, x.bare_loop);
  });
  const formats = ['f32', 'f16', 'q8', 'q4'];
  for (const [m, k, n] of [[128, 768, 3072], [128, 3072, 768], [128, 384, 1536], [1, 768, 3072], [19200, 64, 256], [19200, 256, 64], [4800, 512, 128]]) {
    formats.forEach((f, i) => add(`${f} ${m}x${k}x${n}`, () => x.prepare_linear(i, m, k, n), (id) => x.linear(id, 0)));
  }
  // little but the epilogue, and little but the quantization of activations
  add('f32 128x4x3072', () => x.prepare_linear(0, 128, 4, 3072), (id) => x.linear(id, 0));
  add('f32 128x4x3072 gelu', () => x.prepare_linear(0, 128, 4, 3072), (id) => x.linear(id, 1));
  for (const i of [2, 3]) add(`${formats[i]} 128x3072x1`, () => x.prepare_linear(i, 128, 3072, 1), (id) => x.linear(id, 0));
  formats.forEach((f, i) => add(`load ${f} 3072x768`, () => i, x.load));
  for (const hidden of [768, 384]) {
    formats.forEach((f, i) => {
      add(`encoder ${hidden} ${f}`, () => x.prepare_encoder(i, hidden, 128), (id) => x.encoder(id, 7));
      for (const [part, what] of [[1, 'linear'], [2, 'attention'], [4, 'layer norm']]) {
        add(`encoder ${hidden} ${f}: ${what}`, () => x.prepare_encoder(i, hidden, 128), (id) => x.encoder(id, part));
      }
    });
  }
  // 5 s of wav2vec2-base
  for (const chunk of [8, 16, 32, 64, 249]) {
    for (const i of [0, 2, 3]) {
      add(`wav2vec2 ${formats[i]}: convolutions by ${chunk}`, () => x.prepare_wav2vec2(i, 249, chunk), (id) => x.wav2vec2(id, 1));
    }
    add(`wav2vec2 f32: first convolution by ${chunk}`, () => x.prepare_wav2vec2(0, 249, chunk), (id) => x.wav2vec2(id, 0));
  }
  for (const i of [0, 2, 3]) add(`wav2vec2 ${formats[i]}: positions`, () => x.prepare_wav2vec2(i, 249, 1), (id) => x.wav2vec2(id, 2));
  add('wav2vec2: statistics', () => x.prepare_wav2vec2(0, 249, 1), (id) => x.wav2vec2(id, 3));
  for (const i of [0, 2, 3]) add(`wav2vec2 ${formats[i]}: transformer`, () => x.prepare_encoder(i, 768, 249), (id) => x.encoder(id, 7));
  const once = (row) => {
    const start = performance.now();
    let n = 0;
    do { row.ops = row.run(); n++; } while (performance.now() - start < 4);
    return (performance.now() - start) / n;
  };
  // All cases in turn, again and again: they share the machine's better and worse moments.
  for (const row of rows) for (let i = 0; i < 30 && i * once(row) < 300; i++);
  for (let round = 0; round < rounds; round++) for (const row of rows) row.ms.push(once(row));
  for (const row of rows) {
    row.ms.sort((a, b) => a - b);
    row.rate = row.ops / row.ms[0] / 1e6;
    delete row.run;
  }
  postMessage({ dot: ['quads, unsigned', 'quads, signed', 'pairs', 'wide'][x.dot()], failures: x.selftest(), rows });
}})(/${option('--cases') ?? ''}/, ${option('--rounds') ?? 20}).catch((e) => postMessage({ error: String(e) }));`;
const page = `<script>const w = new Worker('/worker.js');
w.onmessage = (e) => fetch('/done', { method: 'POST', body: JSON.stringify(e.data) });
w.onerror = (e) => fetch('/done', { method: 'POST', body: JSON.stringify({ error: e.message }) });</script>`;

for (const [name, features] of Object.entries(builds)) {
  if (only && only !== name) continue;
  const dir = path.join(target, `kernels-${name}`);
  if (!process.argv.includes('--no-build')) {
    const cargo = process.env.CARGO ?? 'cargo build';
    execSync(`${cargo} --release --target wasm32-unknown-unknown`, {
      cwd: here, stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, CARGO_TARGET_DIR: dir, RUSTFLAGS: `-C target-feature=${features}` },
    });
  }
  const wasm = readFileSync(path.join(dir, 'wasm32-unknown-unknown/release/tareas_bench_kernels.wasm'));
  const result = await inChromium(wasm);
  if (result.error) throw new Error(result.error);
  console.log(`\n## ${name} (${wasm.length} bytes; dot product: ${result.dot}; self-test failures: ${result.failures})\n`);
  console.log('| case | median ms | best ms | GOP/s (best) | of the bare loop |\n|---|---|---|---|---|');
  const bare = Object.fromEntries(result.rows.filter((r) => r.name.startsWith('bare')).map((r) => [r.name.slice(6), r.rate]));
  const limit = (n) => (/q8|q4/.test(n) ? bare['relaxed dot i8, quads'] ?? bare['dot i16'] : bare['relaxed madd f32'] ?? bare['mul+add f32']);
  for (const r of result.rows) {
    const share = /x\d/.test(r.name) ? `${Math.round((100 * r.rate) / limit(r.name))} %` : '';
    console.log(`| ${r.name} | ${r.ms[r.ms.length >> 1].toFixed(2)} | ${r.ms[0].toFixed(2)} | ${r.rate.toFixed(1)} | ${share} |`);
  }
}

function inChromium(wasm) {
  const profile = mkdtempSync(path.join(tmpdir(), 'kernels-'));
  return new Promise((resolve) => {
    let browser;
    const server = http.createServer((request, response) => {
      if (request.url === '/done') {
        let body = '';
        request.on('data', (d) => (body += d)).on('end', () => {
          response.end();
          browser.once('exit', () => {
            try {
              rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
            } catch { /* a child of the browser still writes there: /tmp is cleaned without us */ }
          });
          browser.kill();
          server.close();
          resolve(JSON.parse(body));
        });
        return;
      }
      const [type, content] = { '/worker.js': ['text/javascript', worker], '/kernels.wasm': ['application/wasm', wasm] }[request.url] ?? ['text/html', page];
      response.setHeader('content-type', type);
      response.end(content);
    });
    server.listen(0, '127.0.0.1', () => {
      browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/`], { stdio: 'ignore' });
    });
  });
}
