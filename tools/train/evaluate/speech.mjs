/**
 * Word error rate, or accuracy of a keyword classifier, of a model through the built package in Node.
 *
 *     node tools/train/evaluate/speech.mjs --package PKG --data DATA --model DIR \
 *         [--dtype fp32|q8|q4] [--device wasm|webgpu] [--task asr|audio] [--every 2] [--show 10] \
 *         [--language-model FILE.arpa] [--beams 50]
 *
 * PKG is the folder of the built package, DATA what `utterances.py` wrote. `--every 2` judges every second recording
 * of the set "real", those that `speech.py --recordings` leaves out.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const RATE = 16000;
const { values: args } = parseArgs({
  options: {
    package: { type: 'string' },
    data: { type: 'string' },
    model: { type: 'string' },
    dtype: { type: 'string', default: 'auto' },
    device: { type: 'string', default: 'wasm' },
    task: { type: 'string', default: 'asr' },
    every: { type: 'string', default: '1' },
    show: { type: 'string', default: '0' },
    'language-model': { type: 'string' },
    beams: { type: 'string', default: '50' },
  },
});
const { pipeline } = await import(pathToFileURL(resolve(args.package, 'node.js')));

function* clips(name) {
  const rows = JSON.parse(readFileSync(join(args.data, `${name}.json`), 'utf8'));
  const bytes = readFileSync(join(args.data, `${name}.pcm`));
  const pcm = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const every = name === 'real' ? Number(args.every) : 1;
  for (const [i, row] of rows.entries()) {
    if (i % every !== every - 1) continue;
    const sound = Float32Array.from(pcm.subarray(row.start, row.start + row.length), (v) => v / 32768);
    yield { ...row, sound };
  }
}

/** `sound` in the middle of `length` samples. */
function centred(sound, length) {
  const out = new Float32Array(length);
  const at = (length - sound.length) >> 1;
  if (at >= 0) out.set(sound, at);
  else out.set(sound.subarray(-at, length - at));
  return out;
}

/** Words put in, left out or mistaken. */
function errors(truth, heard) {
  const row = heard.map((_, j) => j + 1);
  truth.forEach((a, i) => {
    let [diagonal, left] = [i, i + 1];
    heard.forEach((b, j) => {
      const best = Math.min(row[j] + 1, left + 1, diagonal + Number(a !== b));
      [diagonal, left] = [row[j], best];
      row[j] = best;
    });
  });
  return heard.length > 0 ? row.at(-1) : truth.length;
}

const lm = args['language-model'];
const decoding = lm ? { language_model: readFileSync(lm, 'utf8'), num_beams: Number(args.beams) } : {};
const words = (text) => text.split(' ').filter(Boolean);
let left = Number(args.show);
function show(clip, heard) {
  if (left-- > 0) console.log(`  ${clip.voice}: ${clip.text} -> ${heard}`);
}

async function speech(pipe, name) {
  let [wrong, total, seconds, ms] = [0, 0, 0, 0];
  for (const clip of clips(name)) {
    const sound = centred(clip.sound, clip.sound.length + 4800);
    const start = performance.now();
    const { text } = await pipe(sound, decoding);
    ms += performance.now() - start;
    seconds += sound.length / RATE;
    const e = errors(words(clip.text), words(text));
    if (e > 0) show(clip, text);
    wrong += e;
    total += words(clip.text).length;
  }
  const rate = (wrong / total).toFixed(4);
  console.log(`${name}: WER ${rate} of ${total} words, ${(ms / seconds).toFixed(1)} ms per second of sound`);
}

async function keywords(pipe, name, labels) {
  const right = { keyword: [], unknown: [] };
  let [seconds, ms] = [0, 0];
  for (const clip of clips(name)) {
    if (clip.text.includes(' ')) continue;
    const truth = labels.has(clip.text.toLowerCase()) ? clip.text.toLowerCase() : 'unknown';
    const sound = centred(clip.sound, RATE);
    const start = performance.now();
    const [{ label }] = await pipe(sound, { top_k: 1 });
    ms += performance.now() - start;
    seconds += 1;
    if (label !== truth) show(clip, label);
    right[truth === 'unknown' ? 'unknown' : 'keyword'].push(label === truth);
  }
  const share = (list) => (list.filter(Boolean).length / list.length).toFixed(4);
  console.log(
    `${name}: accuracy ${share([...right.keyword, ...right.unknown])}, of keywords ${share(right.keyword)}, of other ` +
      `words ${share(right.unknown)}; ${(ms / seconds).toFixed(1)} ms per second of sound`,
  );
}

const task = args.task === 'asr' ? 'automatic-speech-recognition' : 'audio-classification';
const pipe = await pipeline(task, resolve(args.model), { device: args.device, dtype: args.dtype });
const { device, dtype } = pipe.info();
console.log(`${args.model} ${dtype} on ${device}`);
if (args.task === 'asr') {
  for (const name of ['test-espeak', 'test-flite', 'real']) await speech(pipe, name);
} else {
  const config = JSON.parse(readFileSync(join(args.model, 'config.json'), 'utf8'));
  for (const name of ['test-words', 'real']) await keywords(pipe, name, new Set(Object.values(config.id2label)));
}
await pipe.dispose();
