import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { pickBuild } from '../src/engine.js';
import { TareasError, toRecord, fromRecord } from '../src/errors.js';
import { Sha256 } from '../src/hub/sha256.js';
import { isPlace, remoteUrl } from '../src/hub/resolve.js';
import { nearest } from '../src/nearest.js';
import { hubSettings } from '../src/env.js';
import { wellFormed } from '../src/tasks/common.js';
import { wrapGlue } from '../glue.mjs';

describe('parts', () => {
  it('SHA-256 agrees with OpenSSL, however the data is cut', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 1000, 100_000]) {
      const data = randomBytes(length);
      const expected = createHash('sha256').update(data).digest('hex');
      for (const step of [1 + (length >> 3), 63, 64, 1000]) {
        const hash = new Sha256();
        for (let at = 0; at < length; at += step) hash.update(data.subarray(at, at + step));
        assert.equal(hash.hex(), expected, `${length} bytes in steps of ${step}`);
      }
    }
  });

  it('errors survive the way to the other thread', () => {
    const error = new TareasError('network', 'It broke', { remedy: 'mend it', url: 'u', status: 500 });
    const copy = fromRecord(structuredClone(toRecord(error)));
    for (const key of ['code', 'message', 'remedy', 'url', 'status', 'name'] as const)
      assert.equal(copy[key], error[key]);
    const abort = fromRecord(toRecord(new DOMException('stop', 'AbortError')));
    assert.deepEqual([abort.code, abort.name], ['aborted', 'AbortError']);
  });

  it('tells places from ids', () => {
    for (const place of ['./a', '../a', '/a', 'https://x/y', 'file:///a', 'C:\\a', '.'])
      assert.ok(isPlace(place), place);
    for (const id of ['a', 'a/b', 'owner/na.me_-2']) assert.ok(!isPlace(id), id);
    const ref = { model: 'a/b', revision: 'refs/pr/1', subfolder: 'x' };
    const settings = { ...hubSettings(), remoteHost: 'https://h' };
    assert.equal(remoteUrl(settings, ref, 'f.json'), 'https://h/a/b/resolve/refs%2Fpr%2F1/x/f.json');
  });

  it('finds the name that was meant', () => {
    assert.equal(nearest('topk', ['top_k', 'targets']), 'top_k');
    assert.equal(nearest('aggregationStrategy', ['aggregation_strategy', 'stride']), 'aggregation_strategy');
    assert.equal(nearest('zzz', ['top_k']), null);
  });

  it('keeps the length of ill-formed strings', () => {
    const native = String.prototype.toWellFormed;
    const samples = ['\ud800', 'a\udc00b', '\ud83d\ude00', '\ud83d\ud83d\ude00\ude00', 'plain'];
    const expected = ['\ufffd', 'a\ufffdb', '\ud83d\ude00', '\ufffd\ud83d\ude00\ufffd', 'plain'];
    assert.deepEqual(samples.map(wellFormed), expected);
    // Browsers without the method.
    Object.defineProperty(String.prototype, 'toWellFormed', {
      value: undefined,
      configurable: true,
      writable: true,
    });
    assert.deepEqual(samples.map(wellFormed), expected);
    Object.defineProperty(String.prototype, 'toWellFormed', {
      value: native,
      configurable: true,
      writable: true,
    });
  });

  it('picks a build', () => {
    assert.match(pickBuild('auto'), /^(simd|relaxed)$/);
    assert.equal(pickBuild('simd'), 'simd');
  });

  it('wraps glue so that every call makes an instance', async () => {
    const glue = [
      'let wasm;',
      'export function version() { return wasm; }',
      'export class Loader {}',
      "async function __wbg_init(x) { if (x === undefined) x = new URL('tareas_bg.wasm', import.meta.url); wasm = x; }",
      'export { initSync, __wbg_init as default };',
      'function initSync() {}',
    ].join('\n');
    const text: string = wrapGlue(glue, 'test');
    const { default: make } = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
      default: () => { default(x: number): Promise<void>; version(): number };
    };
    const [a, b] = [make(), make()];
    await a.default(1);
    await b.default(2);
    assert.deepEqual([a.version(), b.version()], [1, 2]);
  });
});
