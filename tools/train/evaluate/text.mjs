/**
 * How good a text model is on held-out texts, through the built package in Node.
 *
 *     node tools/train/evaluate/text.mjs --package PKG --model DIR --test FILE.jsonl \
 *         [--dtype fp32|q8|q4] [--device wasm|webgpu] [--limit N] [--show 10]
 *
 * PKG is the folder of the built package, FILE what the training script wrote beside the model: lines of
 * { text, label } (text-classification: accuracy; fill-mask: the word among the first one and five), { ids }
 * (text-generation: perplexity).
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: args } = parseArgs({
  options: {
    package: { type: 'string' },
    model: { type: 'string' },
    test: { type: 'string' },
    dtype: { type: 'string', default: 'auto' },
    device: { type: 'string', default: 'wasm' },
    limit: { type: 'string', default: '1000' },
    show: { type: 'string', default: '0' },
  },
});
const { pipeline } = await import(pathToFileURL(resolve(args.package, 'node.js')));
const tests = readFileSync(args.test, 'utf8').trim().split('\n').slice(0, Number(args.limit)).map(JSON.parse);
let left = Number(args.show);
const show = (...what) => left-- > 0 && console.log(' ', ...what);
const share = (count) => (count / tests.length).toFixed(4);

async function classify(pipe) {
  let right = 0;
  for (const { text, label } of tests) {
    const [best] = await pipe(text);
    right += best.label === label;
    if (best.label !== label) show(`${text}: ${best.label} ${best.score.toFixed(2)}, not ${label}`);
  }
  return `accuracy ${share(right)}`;
}

async function fill(pipe) {
  let [first, five] = [0, 0];
  for (const { text, label } of tests) {
    const words = (await pipe(text, { top_k: 5 })).map((answer) => answer.token_str);
    first += words[0] === label;
    five += words.includes(label);
    if (!words.includes(label)) show(`${text}: ${words.join(', ')}; not ${label}`);
  }
  return `the hidden word is first ${share(first)}, among the first five ${share(five)}`;
}

/** The model writes what it is told to: a processor reads the scores of each token and then leaves only one. */
async function perplexity(pipe) {
  let [loss, count] = [0, 0];
  for (const { ids } of tests) {
    const force = (rows, scores) => {
      const next = ids[rows[0].length];
      const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
      loss -= scores[next] - top - Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
      count += 1;
      return Float32Array.from(scores, (_, i) => (i === next ? 0 : -Infinity));
    };
    const length = Math.min(ids.length, positions) - 1;
    await pipe('<|endoftext|>', {
      max_new_tokens: length,
      min_new_tokens: length,
      do_sample: false,
      repetition_penalty: 1,
      no_repeat_ngram_size: 0,
      logits_processor: force,
    });
  }
  return `perplexity ${Math.exp(loss / count).toFixed(2)} over ${count} tokens`;
}

const { architectures, n_positions: positions } = JSON.parse(readFileSync(join(args.model, 'config.json'), 'utf8'));
const [task, judge] = {
  BertForSequenceClassification: ['text-classification', classify],
  BertForMaskedLM: ['fill-mask', fill],
  GPT2LMHeadModel: ['text-generation', perplexity],
}[architectures[0]];
const pipe = await pipeline(task, resolve(args.model), { device: args.device, dtype: args.dtype });
const { device, dtype } = pipe.info();
const start = performance.now();
const result = await judge(pipe);
const each = ((performance.now() - start) / tests.length).toFixed(1);
console.log(`${dtype} on ${device}: ${result}; ${tests.length} texts, ${each} ms each`);
await pipe.dispose();
