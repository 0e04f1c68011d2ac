/** The accuracy gates of the two models that ship with the demo, as tests/real.rs has them: 200 sentences against Python. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GOLDENS } from './goldens.mjs';
import { good } from './page.mjs';

const shipped = (name) => fileURLToPath(new URL(`../www/models/${name}`, import.meta.url));

/** For the imitation hub. */
export const realModels = { 'real/minilm': shipped('all-MiniLM-L6-v2'), 'real/rampart': shipped('rampart') };

const sentences = (name) => JSON.parse(readFileSync(join(GOLDENS, 'real', `${name}.json`), 'utf8')).sentences;

/** A tensor of a safetensors file. */
function tensor(file, name) {
  const bytes = readFileSync(join(GOLDENS, 'real', file));
  const header = Number(bytes.readBigUInt64LE(0));
  const { data_offsets } = JSON.parse(bytes.subarray(8, 8 + header).toString())[name];
  const [from, to] = data_offsets.map((offset) => 8 + header + offset);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + to));
}

/** The first `count` sentences' embeddings: a mean cosine of at least 0.999. */
export async function checkEmbeddings({ load, run, drop }, device, count = 200) {
  const texts = sentences('minilm').map(({ text }) => text);
  const want = tensor('minilm.safetensors', 'embeddings');
  const { info } = good(await load('real', 'feature-extraction', 'real/minilm', { device, dtype: 'q8' }));
  assert.equal(info.device, device, info.fallback);
  const got = good(await run('real', texts.slice(0, count), { pooling: 'mean', normalize: true }));
  await drop('real');
  assert.equal(got.length, count);
  // Both are of length 1.
  const cosines = got.map((row, i) => row.reduce((sum, x, j) => sum + x * want[i * row.length + j], 0));
  const mean = cosines.reduce((sum, x) => sum + x, 0) / count;
  assert.ok(mean >= 0.999, `mean cosine ${mean}, worst ${Math.min(...cosines)}`);
}

/** The first `count` sentences' tokens: at least 99 % of the labels are Python's. */
export async function checkEntities({ load, run, drop }, device, count = 200) {
  const given = sentences('rampart').slice(0, count);
  const { id2label } = JSON.parse(readFileSync(join(shipped('rampart'), 'config.json'), 'utf8'));
  const { info } = good(await load('real', 'token-classification', 'real/rampart', { device, dtype: 'q8' }));
  assert.equal(info.device, device, info.fallback);
  const got = good(
    await run(
      'real',
      given.map(({ text }) => text),
      { ignore_labels: [] },
    ),
  );
  await drop('real');
  const tokens = got.flatMap((found, i) =>
    found.map(({ index, entity }) => entity === id2label[given[i].labels[index]]),
  );
  const same = tokens.filter(Boolean).length;
  assert.ok(tokens.length > 15 * count && same >= 0.99 * tokens.length, `${same} of ${tokens.length} labels`);
}
