/**
 * How good an image model is on held-out pictures, through the built package in Node.
 *
 *     node tools/train/evaluate/images.mjs --package PKG --model DIR --test FILE.jsonl \
 *         [--dtype fp32|q8|q4] [--device wasm|webgpu] [--limit N] [--show 10]
 *
 * PKG is the folder of the built package. FILE is what the training script wrote beside the model: lines of
 * { width, height, label }, and their RGB bytes one after the other in FILE.rgb (image-classification: top-1).
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
const bytes = readFileSync(args.test.replace(/\.jsonl$/, '.rgb'));
let at = 0;
const tests = readFileSync(args.test, 'utf8').trim().split('\n').map((line) => {
  const test = JSON.parse(line);
  const data = new Uint8ClampedArray(bytes.subarray(at, (at += test.width * test.height * 3)));
  return { ...test, image: { data, width: test.width, height: test.height, channels: 3 } };
}).slice(0, Number(args.limit));
let left = Number(args.show);

async function classify(pipe) {
  let right = 0;
  for (const [i, { image, label }] of tests.entries()) {
    const [best] = await pipe(image, { top_k: 1 });
    right += best.label === label;
    if (best.label !== label && left-- > 0) console.log(`  ${i}, ${label}: ${best.label} ${best.score.toFixed(2)}`);
  }
  return `top-1 ${(right / tests.length).toFixed(4)}`;
}

const { architectures } = JSON.parse(readFileSync(join(args.model, 'config.json'), 'utf8'));
const [task, judge] = { ResNetForImageClassification: ['image-classification', classify] }[architectures[0]];
const pipe = await pipeline(task, resolve(args.model), { device: args.device, dtype: args.dtype });
const { device, dtype } = pipe.info();
const start = performance.now();
const result = await judge(pipe);
const each = ((performance.now() - start) / tests.length).toFixed(1);
console.log(`${dtype} on ${device}: ${result}; ${tests.length} pictures, ${each} ms each`);
await pipe.dispose();
