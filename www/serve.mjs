/**
 * Serves dist/ (or DIR) on localhost.
 *
 *   node serve.mjs [--port N] [--dir DIR] [--models DIR]     --models stands in for dist/models
 */
import { createServer } from 'node:http';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, extname, join, normalize, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
};

/** Resolves to `{ address, close }`. */
export async function serve({
  port = 0,
  dir = join(dirname(fileURLToPath(import.meta.url)), 'dist'),
  models = null,
} = {}) {
  const server = createServer((request, response) => void answer(request, response));
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    close: () => new Promise((done) => server.close(done)),
  };

  async function answer(request, response) {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    const file =
      models !== null && path.startsWith('/models/')
        ? join(models, path.slice('/models/'.length))
        : join(dir, path);
    const target = path.endsWith('/') ? join(file, 'index.html') : file;
    const found = await stat(target).catch(() => null);
    if (!found?.isFile()) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`There is no ${path}\n`);
      return;
    }
    const type =
      TYPES[extname(target)] ?? (extname(target) === '' ? TYPES['.txt'] : 'application/octet-stream');
    response.writeHead(200, {
      'content-type': type,
      'content-length': found.size,
      'cache-control': 'no-cache',
    });
    if (request.method === 'HEAD') response.end();
    else createReadStream(target).pipe(response);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8080' },
      dir: { type: 'string' },
      models: { type: 'string' },
    },
  });
  const dir = values.dir === undefined ? undefined : resolve(values.dir);
  const models = values.models === undefined ? null : resolve(values.models);
  const { address } = await serve({ port: Number(values.port), dir, models });
  console.log(address);
}
