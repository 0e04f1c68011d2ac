import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { cache, env, isCached, type CustomCache } from '../src/index.js';
import { fails, model, once, setup, type Hub } from './helpers.js';

/** Larger than two of the cache's parts. */
const SIZE = 20_000_000;

/** As the Cache API, in memory; full after `quota` bytes. */
class MemoryCache implements CustomCache {
  readonly entries = new Map<string, { body: ArrayBuffer; headers: [string, string][] }>();
  quota = Infinity;

  async match(key: string): Promise<Response | undefined> {
    const entry = this.entries.get(key);
    return entry && new Response(entry.body, { headers: entry.headers });
  }

  async put(key: string, response: Response): Promise<void> {
    const body = await response.arrayBuffer();
    const used = [...this.entries.values()].reduce((sum, entry) => sum + entry.body.byteLength, 0);
    if (used + body.byteLength > this.quota)
      throw new DOMException('The quota has been exceeded', 'QuotaExceededError');
    this.entries.set(key, { body, headers: [...response.headers] });
  }

  async delete(key: string): Promise<boolean> {
    return this.entries.delete(key);
  }

  async keys(): Promise<readonly string[]> {
    return [...this.entries.keys()];
  }
}

describe('custom cache and fetch', () => {
  let hub: Hub;
  let end: () => Promise<void>;
  let memory: MemoryCache;
  before(async () => ({ hub, end } = await setup({ 'owner/name': model({}, SIZE) })));
  after(() => end());
  beforeEach(() => {
    hub.reset();
    memory = new MemoryCache();
    Object.assign(env, { useCustomCache: true, customCache: memory, fetch: null });
  });

  for (const worker of [false, true]) {
    it(`keeps files in parts and reads them back, ${worker ? 'in a worker' : 'inline'}`, async () => {
      assert.equal((await once('owner/name', { worker })).echo.weights, SIZE);
      assert.equal(
        [...memory.entries.keys()].filter((key) => key.includes('model.safetensors?tareas-part=')).length,
        3,
      );
      assert.ok(await isCached('owner/name'));
      hub.reset();
      assert.equal((await once('owner/name', { worker })).echo.weights, SIZE);
      assert.equal(hub.requests.length, 0);
      assert.ok((await cache.size()) > SIZE);
      await cache.clear();
      assert.equal(memory.entries.size, 0);
    });
  }

  it('resumes behind the last whole part', async () => {
    hub.fault(/^\/cdn.*model\.safetensors$/, { resetAfter: 18_000_000, times: 1 });
    hub.fault(/^\/cdn.*model\.safetensors$/, { status: 500, times: 3 });
    await fails(once(), 'network');
    hub.reset();
    assert.equal((await once()).echo.weights, SIZE);
    assert.deepEqual(
      hub.asked(/model\.safetensors$/).map(({ range }) => range),
      [`bytes=${16 << 20}-`],
    );
    hub.reset();
    assert.equal((await once()).echo.weights, SIZE);
    assert.equal(hub.requests.length, 0);
  });

  it('goes on without the cache when it is full, and says so', async () => {
    memory.quota = 10_000_000;
    const { echo, notices } = await once();
    assert.equal(echo.weights, SIZE);
    assert.equal(notices.length, 1);
    assert.ok(
      notices[0]!.status === 'notice' && notices[0]!.code === 'cache' && /full/.test(notices[0]!.message),
    );
    assert.equal(
      [...memory.entries.keys()].some((key) => key.includes('model.safetensors')),
      false,
    );
  });

  it('downloads again where parts have gone', async () => {
    await once();
    for (const key of memory.entries.keys())
      if (/safetensors\?tareas-part=1/.test(key)) memory.entries.delete(key);
    const { echo, events } = await once();
    assert.equal(echo.weights, SIZE);
    assert.ok(events.some((event) => event.status === 'phase' && event.phase === 'reload'));
  });

  it('goes on where the cache is broken', async () => {
    memory.match = () => Promise.reject(new Error('no'));
    const { echo, notices } = await once();
    assert.equal(echo.weights, SIZE);
    assert.ok(notices.length >= 1);
  });

  it("uses the caller's fetch, from a worker too", async () => {
    const asked: string[] = [];
    const own: typeof fetch = (input, init) => {
      asked.push(String(input));
      return fetch(input, {
        ...init,
        headers: { ...(init?.headers as Record<string, string>), authorization: 'Bearer me' },
      });
    };
    Object.assign(env, { useCustomCache: false, useFSCache: false, fetch: own });
    assert.equal((await once('owner/name', { worker: true })).echo.weights, SIZE);
    assert.ok(asked.length >= 4);
    assert.ok(hub.asked(/config\.json$/).every(({ headers }) => headers['authorization'] === 'Bearer me'));
    env.useFSCache = true;
  });

  it('takes an entry that was put there as a whole', async () => {
    const url = `${hub.url}owner/name/resolve/main/config.json`;
    await memory.put(url, new Response('{"fake": {"trapOn": "x"}}'));
    await once();
    assert.equal(hub.asked(/\/config\.json$/).length, 0);
  });
});
