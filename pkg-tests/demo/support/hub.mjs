import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from './site.mjs';

const GOLDENS = join(root, 'tests/goldens');
const CORS = { 'access-control-allow-origin': '*' };

/** An imitation of the hub: `golden/NAME` is a checkpoint of tests/goldens or its folders vision, audio and generation, anything else is not there. */
export async function hub(route) {
  const path = new URL(route.request().url()).pathname;
  const [, name, file] = /^\/golden\/([\w-]+)\/resolve\/main\/([\w.-]+)$/.exec(path) ?? [];
  const read = (folder) => readFile(join(GOLDENS, folder, name, file)).catch(() => null);
  const body =
    name &&
    ((await read('')) ?? (await read('vision')) ?? (await read('audio')) ?? (await read('generation')));
  if (!body) return route.fulfill({ status: 404, headers: CORS, body: 'Entry not found' });
  const headers = { ...CORS, 'content-length': String(body.length) };
  return route.fulfill({ status: 200, headers, contentType: 'application/octet-stream', body });
}

/** What Python's pipeline gave: the case of that golden whose arguments and options are these. */
export async function golden(name, args, kwargs = {}) {
  const { pipeline } = JSON.parse(await readFile(join(GOLDENS, name, 'golden.json'), 'utf8'));
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const found = pipeline.find((one) => same(one.args, args) && same(one.kwargs, kwargs));
  if (!found) throw new Error(`${name} has no case ${JSON.stringify({ args, kwargs })}`);
  return found.result;
}

/** What Python's pipelines gave for a model that writes: the recorded calls with these properties. */
export async function calls(name, wanted) {
  const { calls } = JSON.parse(await readFile(join(GOLDENS, 'generation', name, 'golden.json'), 'utf8'));
  const same = (call) =>
    Object.entries(wanted).every(([key, value]) => JSON.stringify(call[key]) === JSON.stringify(value));
  return calls.filter(same);
}
