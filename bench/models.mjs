// The models of the benchmark, the same table for run.mjs (in Node) and page.mjs (in the page).
//
// A model has one case or several (an encoder, a prefill, a step), each a row of the result:
//   task      what tareas and transformers.js are asked for
//   graph     the ONNX file's stem, `onnx/{graph}{_quantized|_q4}.onnx`
//   input     (folder) => { args, feeds }: the arguments of the task's call, and onnxruntime's inputs
//             by name, each [type, values, dims]
//   peers     dtypes of onnxruntime-web; transformers.js is left out where `transformersjs` is false
//   open      engine => (spec, input) => run: in place of the engine's own way, where a case needs one;
//             a run may resolve { ms } of its own measuring
// They are made by bench/export/export_onnx.py.
import { WRITING } from './writing.mjs';

/** A text of exactly `length` tokens, and its ids: [CLS] word word ... [SEP]. */
async function text(folder, length) {
  const { model: wordpiece } = await (await fetch(`${folder}/tokenizer.json`)).json();
  const [word, id] = Object.entries(wordpiece.vocab).find(([token]) => /^[a-z]{4,}$/.test(token));
  const ids = Array(length).fill(id);
  ids[0] = wordpiece.vocab['[CLS]'];
  ids[length - 1] = wordpiece.vocab['[SEP]'];
  const tensor = (values) => ['int64', BigInt64Array.from(values, BigInt), [1, length]];
  return {
    args: [
      Array(length - 2)
        .fill(word)
        .join(' '),
    ],
    feeds: {
      input_ids: tensor(ids),
      attention_mask: tensor(ids.map(() => 1)),
      token_type_ids: tensor(ids.map(() => 0)),
    },
  };
}

/** A smooth picture, and its pixels from -1 to 1 with the channels first. */
function picture(height, width) {
  const data = new Uint8ClampedArray(height * width * 3);
  const pixels = new Float32Array(data.length);
  for (let i = 0; i < height * width; i++) {
    const [y, x] = [Math.floor(i / width), i % width];
    for (let c = 0; c < 3; c++) {
      const value = 128 + 90 * Math.sin(x / (11 + 7 * c)) * Math.cos(y / (17 - 3 * c));
      data[3 * i + c] = value;
      pixels[c * height * width + i] = value / 127.5 - 1;
    }
  }
  return {
    args: [{ data, width, height, channels: 3 }],
    feeds: {
      pixel_values: ['float32', pixels, [1, 3, height, width]],
      pixel_mask: ['int64', new BigInt64Array(64 * 64).fill(1n), [1, 64, 64]],
    },
  };
}

function sound(seconds) {
  const samples = Float32Array.from(
    { length: seconds * 16000 },
    (_, i) => 0.3 * Math.sin(i / 9 + Math.sin(i / 3001)),
  );
  return { args: [samples], feeds: { input_values: ['float32', samples, [1, samples.length]] } };
}

/** A model with one case. */
const one = (rounds, spec) => ({
  rounds,
  cases: { forward: { graph: 'model', peers: ['fp32', 'q8'], ...spec } },
});

const encoder = (rounds) =>
  one(rounds, {
    task: 'feature-extraction',
    peers: ['fp32', 'q8', 'q4'],
    input: (folder) => text(folder, 128),
  });
const image = (rounds, task, [height, width], more) =>
  one(rounds, { task, input: () => picture(height, width), ...more });

export const MODELS = {
  'minilm-l6': encoder(12),
  'distilbert-base': encoder(8),
  'bert-base': encoder(6),
  'vit-base-224': image(6, 'image-classification', [224, 224]),
  'convnext-tiny-224': image(8, 'image-classification', [224, 224]),
  'detr-resnet-50': image(4, 'object-detection', [480, 640]),
  'segformer-b0-512': image(6, 'image-segmentation', [512, 512]),
  'glpn-mit-b4': image(3, 'depth-estimation', [480, 640]),
  // transformers.js has no Mask2Former
  'mask2former-swin-tiny': image(3, 'image-segmentation', [384, 384], { transformersjs: false }),
  // transformers.js wants a tokenizer.json, which these models do not have
  'wav2vec2-base': one(4, {
    task: 'automatic-speech-recognition',
    input: () => sound(5),
    transformersjs: false,
  }),
  ...WRITING,
};
