/**
 * A local server that imitates the Hugging Face hub: `/{model}/resolve/{revision}/{file}` with
 * redirects to a file host, byte ranges, ETags and CORS; and misbehaves on request.
 *
 *   import { startHub } from './hub.mjs';
 *   const hub = await startHub({ models: { 'owner/name': '/folder/or/object/of/buffers' } });
 *   hub.fault(/model\.safetensors/, { resetAfter: 1000, times: 2 });
 *   … hub.url … hub.requests … await hub.close();
 *
 * By hand: `node serve.mjs --root DIR [--port N]` serves every folder `DIR/{owner}/{name}` (or
 * `DIR/{name}`); other pages of the browser tests come from `--static DIR`. Faults are then set by
 * `POST /__fault {"file": "regex", …}`, cleared by `DELETE /__fault`; `GET /__requests` lists what
 * was asked for.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';

/**
 * What can go wrong with the files whose path matches; the fields can be combined. Several faults
 * of one path come one after the other.
 *
 * @typedef {object} Fault
 * @property {number} [times] how many requests it meets; default: all
 * @property {number} [status] answer with this status
 * @property {Record<string, string>} [headers] more headers
 * @property {number} [resetAfter] cut the connection after so many bytes of the body
 * @property {number} [resetDelay] milliseconds between the last byte and the cut; default 150. A reader that
 *   is not there yet loses what it has not read, as with any reset
 * @property {boolean} [html] answer 200 with a web page, as single-page servers do
 * @property {boolean} [htmlAsText] the page's type is then text/plain
 * @property {number} [bytesPerSecond] slow
 * @property {number} [delay] milliseconds before the answer
 * @property {boolean} [hang] never answer
 * @property {number} [stallAfter] send so many bytes, then nothing
 * @property {boolean} [noRange] ignore Range
 * @property {boolean} [noValidator] no ETag
 * @property {string} [etag] this ETag: a file that changed
 * @property {boolean} [gzip] compress
 * @property {boolean} [refuse] cut the connection before any answer
 * @property {Buffer} [body] other content
 */

const TYPES = {
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};
const PAGE = '<!doctype html>\n<html><head><title>App</title></head><body></body></html>\n';
const CORS = {
  'access-control-allow-origin': '*',
  // As the hub: Range is safelisted, everything else would need its own permission.
  'access-control-expose-headers': 'ETag, Content-Range, Accept-Ranges, Content-Length',
};
const CHUNK = 16 * 1024;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Content of a model's file: from an object of buffers, or a folder. */
function find(model, file) {
  if (typeof model === 'string') {
    const path = join(model, normalize(`/${file}`));
    if (!existsSync(path) || !statSync(path).isFile()) return null;
    const { size, mtimeMs } = statSync(path);
    return {
      size,
      etag: `"${size}-${mtimeMs}"`,
      read: (from, to) => createReadStream(path, { start: from, end: to - 1 }),
    };
  }
  const data = model[file];
  if (data === undefined) return null;
  const bytes = Buffer.from(data);
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  return { size: bytes.length, etag, read: (from, to) => [bytes.subarray(from, to)] };
}

class Hub {
  models;
  staticRoot;
  /** @type {{ pattern: RegExp, fault: Fault, left: number }[]} */
  faults = [];
  /** @type {{ method: string, path: string, range: string | null, headers: object }[]} */
  requests = [];
  redirects = true;

  constructor({ models = {}, root = null, staticRoot = null, pageHeaders = {} }) {
    this.models = models;
    this.root = root;
    this.staticRoot = staticRoot;
    this.pageHeaders = pageHeaders;
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/`;
  }

  listen(port = 0) {
    return new Promise((resolve) => this.server.listen(port, '127.0.0.1', () => resolve(this)));
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** @param {RegExp} pattern of the path @param {Fault} fault */
  fault(pattern, fault) {
    this.faults.push({ pattern, fault, left: fault.times ?? Infinity });
  }

  /** Forgets faults and requests. */
  reset() {
    this.faults = [];
    this.requests = [];
  }

  /** Requests for files whose path matches, redirected ones counted once. */
  asked(pattern) {
    return this.requests.filter(({ path }) => pattern.test(path) && !path.startsWith('/cdn/'));
  }

  /** The first fault of a path that has not met all its requests yet. */
  faultOf(path) {
    const entry = this.faults.find(({ pattern, left }) => left > 0 && pattern.test(path));
    if (!entry) return {};
    entry.left--;
    return entry.fault;
  }

  model(id) {
    if (Object.hasOwn(this.models, id)) return this.models[id];
    if (this.root && existsSync(join(this.root, id)) && !id.includes('..')) return join(this.root, id);
    return null;
  }

  async answer(request, response) {
    const path = decodeURIComponent(new URL(request.url, this.url).pathname);
    if (path.startsWith('/__')) return this.control(path, request, response);
    this.requests.push({
      method: request.method,
      path,
      range: request.headers.range ?? null,
      headers: request.headers,
    });
    const direct = /^\/(?:cdn\/)?(.+?)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    if (!direct) return this.page(path, response);
    const [, id, , file] = direct;
    const model = this.model(id);
    const redirect = this.redirects && !path.startsWith('/cdn/');
    if (redirect && model && find(model, file)) {
      response.writeHead(302, {
        ...CORS,
        location: `/cdn${request.url}`,
        'x-linked-size': find(model, file).size,
      });
      return response.end();
    }
    const fault = this.faultOf(path);
    if (fault.hang) return;
    if (fault.refuse) return request.socket.destroy();
    if (fault.delay) await sleep(fault.delay);
    if (fault.status) {
      response.writeHead(fault.status, { ...CORS, ...fault.headers });
      return response.end('failed on request\n');
    }
    if (fault.html) {
      response.writeHead(200, {
        ...CORS,
        'content-type': fault.htmlAsText ? 'text/plain' : 'text/html; charset=utf-8',
      });
      return response.end(PAGE);
    }
    // As the hub: a model that does not exist is 401, a file that does not is 404.
    if (!model) return void response.writeHead(401, CORS).end('Repository not found\n');
    const found = fault.body ? find({ file: fault.body }, 'file') : find(model, file);
    if (!found) return void response.writeHead(404, CORS).end('Entry not found\n');
    return this.send(request, response, file, found, fault);
  }

  async send(request, response, file, found, fault) {
    const range = fault.noRange || fault.gzip ? null : /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const from = range ? Number(range[1]) : 0;
    const headers = {
      ...CORS,
      ...fault.headers,
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    };
    if (!fault.noValidator) headers.etag = fault.etag ?? found.etag;
    if (!fault.noRange) headers['accept-ranges'] = 'bytes';
    if (range && from >= found.size) {
      return void response.writeHead(416, { ...headers, 'content-range': `bytes */${found.size}` }).end();
    }
    let body = found.read(from, found.size);
    let length = found.size - from;
    if (fault.gzip) {
      const parts = [];
      for await (const part of body) parts.push(part);
      const packed = gzipSync(Buffer.concat(parts));
      headers['content-encoding'] = 'gzip';
      length = packed.length;
      body = [packed];
    }
    headers['content-length'] = length;
    if (range) headers['content-range'] = `bytes ${from}-${found.size - 1}/${found.size}`;
    response.writeHead(range ? 206 : 200, headers);
    if (request.method === 'HEAD') return void response.end();
    let sent = 0;
    const limit = Math.min(fault.resetAfter ?? Infinity, fault.stallAfter ?? Infinity);
    for await (const whole of body) {
      for (let at = 0; at < whole.length; at += CHUNK) {
        const piece = whole.subarray(at, Math.min(at + CHUNK, whole.length, at + limit - sent));
        if (piece.length > 0 && !response.write(piece))
          await Promise.race([new Promise((go) => response.once('drain', go)), sleep(2000)]);
        sent += piece.length;
        if (sent >= limit && sent < length) {
          if (fault.stallAfter !== undefined) return;
          // What was written has to leave first: a reset throws it away.
          await sleep(fault.resetDelay ?? 150);
          return void response.destroy();
        }
        if (fault.bytesPerSecond) await sleep((piece.length / fault.bytesPerSecond) * 1000);
        if (response.destroyed) return;
      }
    }
    response.end();
  }

  /** Pages and modules of the browser tests. */
  page(path, response) {
    if (!this.staticRoot) return void response.writeHead(404, CORS).end();
    let file = join(this.staticRoot, normalize(path));
    if (existsSync(file) && statSync(file).isDirectory()) file = join(file, 'index.html');
    if (!existsSync(file)) return void response.writeHead(404, CORS).end();
    response.writeHead(200, {
      ...CORS,
      ...this.pageHeaders,
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    });
    response.end(readFileSync(file));
  }

  async control(path, request, response) {
    let text = '';
    for await (const part of request) text += part;
    if (path === '/__fault' && request.method === 'POST') {
      const { file, ...fault } = JSON.parse(text);
      this.fault(new RegExp(file), fault);
    } else if (path === '/__fault' && request.method === 'DELETE') this.reset();
    response.writeHead(200, {
      ...CORS,
      'access-control-allow-methods': 'GET, POST, DELETE',
      'content-type': 'application/json',
    });
    response.end(JSON.stringify(path === '/__requests' ? this.requests : {}));
  }
}

/** @param {{ models?: Record<string, string | Record<string, Buffer | string>>, root?: string, staticRoot?: string, pageHeaders?: Record<string, string>, port?: number }} options */
export function startHub(options = {}) {
  return new Hub(options).listen(options.port);
}
