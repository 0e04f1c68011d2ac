import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { cache, env, isCached } from '../src/index.js';
import { fails, load, model, once, setup, weights, type Files, type Hub } from './helpers.js';

const SIZE = 100_000;

const sharded: Files = {
  'config.json': Buffer.from('{}'),
  'vocab.txt': Buffer.from('[PAD]\n[UNK]\n'),
  'model.safetensors.index.json': Buffer.from(
    JSON.stringify({
      metadata: { total_size: 60_000 },
      weight_map: { b: 'model-00002-of-00002.safetensors', a: 'model-00001-of-00002.safetensors' },
    }),
  ),
  'model-00001-of-00002.safetensors': weights(40_000),
  'model-00002-of-00002.safetensors': weights(20_000),
};
const { 'model.safetensors': _, ...noWeights } = model();
const { 'tokenizer.json': __, ...noTokenizer } = model();

const MODELS: Record<string, Files> = {
  'owner/name': model({}, SIZE),
  'owner/sharded': sharded,
  'owner/incomplete': { ...sharded, 'model-00002-of-00002.safetensors': undefined as unknown as Buffer },
  'owner/pytorch': { ...noWeights, 'pytorch_model.bin': Buffer.from('PK') },
  'owner/empty': noWeights,
  'owner/notokenizer': noTokenizer,
  'owner/broken': { ...model(), 'config.json': Buffer.from('{"a": ') },
  folder: Object.fromEntries(Object.entries(model()).map(([name, data]) => [`sub/${name}`, data])),
};
delete MODELS['owner/incomplete']!['model-00002-of-00002.safetensors'];

describe('hub', () => {
  let hub: Hub;
  let cacheDir: string;
  let end: () => Promise<void>;
  before(async () => ({ hub, end, cacheDir } = await setup(MODELS)));
  after(() => end());
  beforeEach(async () => {
    hub.reset();
    await cache.clear();
  });

  it('feeds every file, follows redirects, and reports as transformers.js does', async () => {
    const { echo, events } = await once();
    assert.deepEqual(echo.files, [
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'model.safetensors',
    ]);
    assert.equal(echo.weights, SIZE);
    const of = (file: string) => events.filter((event) => 'file' in event && event.file === file);
    const weightEvents = of('model.safetensors');
    assert.equal(weightEvents[0]!.status, 'initiate');
    assert.equal(weightEvents[1]!.status, 'download');
    const last = weightEvents.at(-2)!;
    assert.deepEqual(last, {
      status: 'progress',
      name: 'owner/name',
      file: 'model.safetensors',
      progress: 100,
      loaded: SIZE,
      total: SIZE,
    });
    assert.equal(weightEvents.at(-1)!.status, 'done');
    const total = events.findLast((event) => event.status === 'progress_total')!;
    assert.ok(total.status === 'progress_total' && total.progress === 100 && total.files['config.json']);
    assert.deepEqual(events.at(-1), { status: 'ready', task: 'text-classification', model: 'owner/name' });
    const phases = events.flatMap((event) =>
      event.status === 'phase' ? [`${event.phase} ${event.state}`] : [],
    );
    assert.deepEqual(
      phases,
      ['engine', 'device', 'quantize', 'compile', 'warmup'].flatMap((phase) => [
        `${phase} start`,
        `${phase} done`,
      ]),
    );
  });

  it('reads shards in order, and vocab.txt where there is no tokenizer.json', async () => {
    const { echo, events } = await once('owner/sharded');
    assert.deepEqual(echo.files.slice(-3), [
      'model.safetensors.index.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
    ]);
    assert.ok(echo.files.includes('vocab.txt'));
    assert.equal(echo.weights, 60_000);
    const totals = events.flatMap((event) => (event.status === 'progress_total' ? [event.progress] : []));
    assert.ok(totals.length >= 2);
    assert.deepEqual(
      totals,
      totals.toSorted((a, b) => a - b),
    );
  });

  it('loads from the cache without a request', async () => {
    await once();
    assert.ok(await isCached('owner/name'));
    hub.reset();
    const { echo } = await once('owner/name', { local_files_only: true });
    assert.equal(echo.weights, SIZE);
    assert.equal(hub.requests.length, 0);
    const files = await cache.list();
    assert.deepEqual(files.map(({ file }) => file).sort(), Object.keys(MODELS['owner/name']!).sort());
    assert.ok(
      files.every((file) => file.complete && file.model === 'owner/name' && file.revision === 'main'),
    );
    assert.ok((await cache.size('owner/name')) > SIZE);
    assert.equal(await cache.clear('owner/name'), 4);
    assert.equal(await isCached('owner/name'), false);
  });

  it('resumes where a connection is reset, with Range', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, { resetAfter: 30_000, resetDelay: 1000, times: 2 });
    const { echo } = await once();
    assert.equal(echo.weights, SIZE);
    const ranges = hub.asked(/model\.safetensors$/).map(({ range }) => range);
    assert.equal(ranges.length, 3);
    assert.equal(ranges[0], null);
    for (const range of ranges.slice(1)) assert.match(range!, /^bytes=\d+-$/);
  });

  it('keeps what has arrived for the next load', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, { stallAfter: 50_000, times: 1 });
    hub.fault(/^\/cdn.*model\.safetensors$/, { status: 503, times: 3 });
    await fails(once(), 'network');
    const [begun] = (await cache.list()).filter(({ file }) => file === 'model.safetensors');
    assert.ok(begun && !begun.complete && begun.bytes > 0);
    assert.equal(await isCached('owner/name'), false);
    hub.reset();
    const { echo } = await once();
    assert.equal(echo.weights, SIZE);
    assert.deepEqual(
      hub.asked(/model\.safetensors$/).map(({ range }) => range),
      [`bytes=${begun.bytes}-`],
    );
  });

  it('starts over where the file has changed since', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, { stallAfter: 50_000, times: 1, etag: '"old"' });
    hub.fault(/^\/cdn.*model\.safetensors$/, { status: 503, times: 3 });
    await fails(once(), 'network');
    hub.reset();
    const { echo } = await once();
    assert.equal(echo.weights, SIZE);
    assert.equal(hub.asked(/model\.safetensors$/).length, 2);
  });

  it('reports a file that changes while it is downloaded', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, { stallAfter: 50_000, times: 1, etag: '"old"' });
    await fails(once(), 'network', /changed on the server/);
  });

  it('works with servers that know no ranges or compress', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, {
      resetAfter: 30_000,
      times: 2,
      noRange: true,
      noValidator: true,
    });
    hub.fault(/^\/cdn.*model\.safetensors$/, { noRange: true, noValidator: true });
    assert.equal((await once()).echo.weights, SIZE);
    await cache.clear();
    hub.reset();
    hub.fault(/^\/cdn.*safetensors$/, { gzip: true });
    assert.equal((await once()).echo.weights, SIZE);
  });

  it('retries what may pass: 500, 429, refused and stalled connections', async () => {
    hub.fault(/^\/cdn.*config\.json$/, { status: 500, times: 1 });
    hub.fault(/^\/cdn.*tokenizer\.json$/, { status: 429, times: 1, headers: { 'retry-after': '0' } });
    hub.fault(/^\/cdn.*model\.safetensors$/, { refuse: true, times: 1 });
    hub.fault(/^\/cdn.*model\.safetensors$/, { stallAfter: 40_000, times: 1 });
    assert.equal((await once()).echo.weights, SIZE);
  });

  it('gives up after its retries, with the address', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, { refuse: true });
    const error = await fails(once(), 'network');
    assert.match(error.url!, /owner\/name\/resolve\/main\/model\.safetensors$/);
  });

  it('names what is missing', async () => {
    await fails(once('owner/nowhere'), 'unauthorized', /models that do not exist/);
    await fails(once('owner/notokenizer'), 'not_found', /tokenizer\.json or vocab\.txt/);
    await fails(once('owner/empty'), 'not_found', /model\.safetensors or model\.safetensors\.index\.json/);
    await fails(once('owner/pytorch'), 'unsupported', /only pytorch_model\.bin/);
    await fails(once('owner/incomplete'), 'not_found', /model-00002-of-00002/);
    await fails(once('owner/name', { local_files_only: true }), 'not_found');
    await fails(once('owner/broken'), 'config', /not JSON/);
    hub.fault(/config\.json$/, { status: 403 });
    await fails(once(), 'unauthorized');
  });

  it('recognises a web page in place of a file', async () => {
    hub.fault(/^\/cdn.*config\.json$/, { html: true });
    const error = await fails(once(), 'html', /is a web page/);
    assert.match(error.url!, /config\.json$/);
    hub.reset();
    hub.fault(/^\/cdn.*\/config\.json$/, { html: true, htmlAsText: true });
    await fails(once(), 'html');
    hub.reset();
    // What may be absent is absent.
    hub.fault(/^\/cdn.*tokenizer_config\.json$/, { html: true });
    assert.equal((await once()).echo.files.includes('tokenizer_config.json'), false);
    hub.reset();
    hub.fault(/^\/cdn.*\.safetensors$/, { html: true });
    await cache.clear();
    await fails(once(), 'html', /model\.safetensors/);
  });

  it('checks pinned digests, and forgets what does not match', async () => {
    const digest = (file: string) => createHash('sha256').update(MODELS['owner/name']![file]!).digest('hex');
    const good = {
      'model.safetensors': digest('model.safetensors'),
      'config.json': digest('config.json').toUpperCase(),
    };
    await once('owner/name', { sha256: good });
    const bad = { 'model.safetensors': '0'.repeat(64) };
    await fails(once('owner/name', { sha256: bad }), 'integrity', /expected 0{64}/);
    const nowhere = { 'model-00001-of-00002.safetensors': '0'.repeat(64) };
    await fails(once('owner/name', { sha256: nowhere }), 'integrity', /no file that/);
    await fails(once('owner/name', { sha256: bad }), 'integrity', /expected 0{64}/);
    assert.equal(
      (await cache.list()).some(({ file }) => file === 'model.safetensors'),
      false,
    );
    assert.equal((await once('owner/name', { sha256: good })).echo.weights, SIZE);
  });

  it('reads folders, subfolders, and refuses ids that are none', async () => {
    const folder = join(cacheDir, 'local', 'my-model');
    for (const [name, data] of Object.entries(MODELS['owner/name']!)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), data);
    }
    assert.equal((await once(folder)).echo.weights, SIZE);
    env.localModelPath = join(cacheDir, 'local');
    assert.equal((await once('my-model')).echo.weights, SIZE);
    assert.equal(hub.requests.length, 0);
    assert.equal((await once('folder', { subfolder: 'sub' })).echo.weights, SIZE);
    for (const id of ['a/b/c', '../x y', 'a b', ''])
      await fails(id === '../x y' ? once('a/../b') : once(id), 'input');
    await fails(once(join(cacheDir, 'nothing')), 'not_found');
  });

  it('loads files in hand', async () => {
    const given = Object.entries(MODELS['owner/name']!);
    const bytes = new Map(given.map(([name, data]) => [`dropped/${name}`, new Uint8Array(data)]));
    assert.equal((await once(null, { files: bytes })).echo.weights, SIZE);
    const blobs = new Map(given.map(([name, data]) => [name, new Blob([new Uint8Array(data)])]));
    assert.equal((await once(null, { files: blobs, worker: true })).echo.weights, SIZE);
    assert.equal(hub.requests.length, 0);
    await fails(once(null, { files: new Map() }), 'not_found', /config\.json/);
  });

  it('takes a configuration from the caller', async () => {
    const { pipe, call } = await load('owner/name', { config: { fake: { trapOn: 'never' } } });
    await call('hello');
    await pipe.dispose();
    assert.equal(hub.asked(/\/config\.json$/).length, 0);
  });

  it('keeps two loads of one model apart', async () => {
    const both = await Promise.all([once(), once(), once('owner/name', { worker: true })]);
    assert.deepEqual(
      both.map(({ echo }) => echo.weights),
      [SIZE, SIZE, SIZE],
    );
    assert.ok((await cache.list()).every((file) => file.complete));
    assert.equal((await once('owner/name', { local_files_only: true })).echo.weights, SIZE);
  });
});
