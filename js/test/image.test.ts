import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { depthToImage } from '../src/index.js';
import { imageBuffers, readImage, readImages, type EngineImage } from '../src/media/image.js';
import { resolveTask } from '../src/tasks/index.js';
import { watchFrames } from '../src/watch.js';
import { fails, sleep } from './helpers.js';

const pixels = (width: number, height: number, channels: number) => ({
  data: new Uint8Array(width * height * channels),
  width,
  height,
  channels,
});

describe('images', () => {
  it('pass as they are, and stay with the caller', async () => {
    const image = pixels(3, 2, 4);
    const read = (await readImages([image, pixels(1, 1, 1)])) as EngineImage[];
    assert.deepEqual(
      read.map(({ width, height, channels }) => [width, height, channels]),
      [
        [3, 2, 4],
        [1, 1, 1],
      ],
    );
    assert.deepEqual(imageBuffers(read), []);
    const clamped = { ...image, data: new Uint8ClampedArray(24), channels: undefined };
    assert.equal((await readImage(clamped, 'image')).channels, 4);
  });

  it('of other forms are errors that name what was expected', async () => {
    for (const bad of [7, null, {}, [1, 2], { ...pixels(2, 2, 3), width: 3 }, { ...pixels(2, 2, 5) }]) {
      await fails(readImage(bad, 'image'), 'input');
    }
    await fails(readImage({ ...pixels(1, 1, 3), data: new Float32Array(3) }, 'image'), 'input', /Uint8Array/);
    await fails(readImage(new Uint8Array(0), 'image'), 'input', /no bytes/);
    await fails(readImage(new Blob(['<!doctype html>']), 'image'), 'input', /web page/);
    await fails(readImage('no/such/file.png', 'image'), 'not_found', /no file/);
  });

  it('files need a decoder', async () => {
    await fails(readImage(new Uint8Array([137, 80, 78, 71]), 'image'), 'unsupported', /decodes/);
  });
});

describe('watch', () => {
  async function* camera(frames: number, ms: number) {
    for (let frame = 1; frame <= frames; frame++) {
      await sleep(ms);
      yield frame;
    }
  }

  it('answers for the newest frame, and ends with the source', async () => {
    const seen: number[] = [];
    let fps = 0;
    for await (const { result, fps: rate } of watchFrames(camera(30, 5), async (frame) => {
      await sleep(25);
      return frame;
    })) {
      seen.push(result);
      fps = rate;
    }
    assert.ok(seen.length < 20, `no queue builds up: ${seen.join(' ')}`);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(seen.at(-1), 30);
    assert.ok(fps > 5 && fps < 50, `${fps}`);
  });

  it('waits for its reader', async () => {
    let running = 0;
    let calls = 0;
    const run = async (frame: number) => {
      calls++;
      assert.equal(++running, 1, 'one run at a time');
      await sleep(1);
      running--;
      return frame;
    };
    for await (const _ of watchFrames(camera(20, 5), run)) await sleep(30);
    assert.ok(calls < 12, `${calls}`);
  });

  it('keeps to maxFps, ends by its signal, and tells the source', async () => {
    let returned = false;
    async function* forever() {
      try {
        for (;;) {
          await sleep(1);
          yield 0;
        }
      } finally {
        returned = true;
      }
    }
    const control = new AbortController();
    const start = performance.now();
    let count = 0;
    for await (const _ of watchFrames(forever(), async () => 1, { signal: control.signal, maxFps: 50 })) {
      if (++count === 6) control.abort();
    }
    assert.ok(performance.now() - start >= 90);
    await sleep(20);
    assert.equal(count, 6);
    assert.ok(returned);
  });

  it('passes errors on, of the source and of the model', async () => {
    // eslint-disable-next-line require-yield
    async function* broken(): AsyncGenerator<number> {
      throw new Error('unplugged');
    }
    await assert.rejects(async () => {
      for await (const _ of watchFrames(broken(), async () => 1));
    }, /unplugged/);
    await assert.rejects(async () => {
      for await (const _ of watchFrames(camera(3, 1), () => Promise.reject(new Error('lost'))));
    }, /lost/);
    await fails(watchFrames(7 as never, async () => 1).next(), 'input', /watched/);
    await fails(watchFrames(camera(1, 1), async () => 1, { maxFps: 0 }).next(), 'input', /maxFps/);
  });

  it('is a member of pipelines on images', async () => {
    const definition = resolveTask('object-detection');
    const calls: unknown[][] = [];
    const members = definition.members?.(
      async () => null,
      async (...args) => (calls.push(args), ['found']),
    ) as { watch: (source: unknown, options: object) => AsyncGenerator<{ result: unknown }> };
    const results = [];
    for await (const { result } of members.watch(camera(1, 1), { maxFps: 100, threshold: 0.7 })) {
      results.push(result);
    }
    assert.deepEqual(results, [['found']]);
    assert.deepEqual(calls, [[1, { threshold: 0.7 }]]);
  });
});

describe('depth', () => {
  it('becomes a coloured picture', () => {
    const depth = { data: new Uint8Array([0, 255, 128, 128]), width: 2, height: 2, channels: 1 as const };
    const image = depthToImage({ depth });
    assert.deepEqual([...image.data.subarray(0, 8)], [122, 4, 3, 255, 48, 18, 59, 255]);
  });
});
